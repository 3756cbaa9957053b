// `slipstream mock` as a child process of other commands: ends when its parent does.
import { mockCommand } from './mock-command.ts';

await mockCommand(process.argv.slice(2));
