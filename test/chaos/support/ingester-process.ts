// A second ingester for the data directory of a running gateway, as a control plane that was stopped and goes on beside
// its replacement. argv: data directory; SQLite's file is in it, DATABASE_URL names another database. Ends with its parent.
import { UsageIngester } from '../../../src/control/ingest/usage-ingester.ts';
import { openStore } from '../../../src/control/store/open-store.ts';
import { createLogger } from '../../../src/runtime/logger.ts';

const dataDirectory = process.argv[2] ?? '';
const store = await openStore({ dataDirectory, databaseUrl: process.env['DATABASE_URL'] ?? null });
const ingester = new UsageIngester({
  dataDirectory,
  usage: () => store.usage,
  settings: () => ({ keepEventsMs: null, keepSegmentsMs: 86_400_000, prices: {} }),
  logger: createLogger({ level: 'info', format: 'json', name: 'second ingester' }),
  pollMs: 300,
  chunkBytes: 16_384,
});
ingester.start();
process.stdout.write('ingesting\n');
process.once('disconnect', () => process.exit(0));
process.once('SIGTERM', () => {
  void ingester
    .stop()
    .then(() => store.close())
    .then(() => {
      const { events, duplicates } = ingester.status();
      process.stdout.write(`took ${events} events, ${duplicates} twice\n`);
      process.exit(0);
    });
});
