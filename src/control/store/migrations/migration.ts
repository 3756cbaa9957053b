import { type ColumnDefinitionBuilder, type Kysely, type RawBuilder, sql } from 'kysely';
import type { Database } from '../database.ts';
import type { StoreEngine } from '../store-engine.ts';

/**
 * One step from a version of the schema to the next. Once released it is never changed. It only adds: gateways of the
 * version before go on using the same database while others are upgraded.
 */
export interface Migration {
  /** 1, 2, 3, … without a gap. */
  readonly number: number;
  readonly name: string;
  readonly up: (db: Kysely<Database>, types: ColumnTypes) => Promise<void>;
}

/** What a column of `Database` is declared as. */
export interface ColumnTypes {
  /** Of a column that the database counts: 1, 2, 3, … Its column must also be `counted`. */
  readonly sequence: RawBuilder<unknown>;
  readonly counted: (column: ColumnDefinitionBuilder) => ColumnDefinitionBuilder;
  readonly json: RawBuilder<unknown>;
  readonly boolean: RawBuilder<unknown>;
  readonly false: RawBuilder<unknown>;
  /** Text that is compared byte by byte, which is all that a name needs and much faster. */
  readonly name: RawBuilder<unknown>;
  /** End of a table whose rows are changed again and again, in place: room is left beside each. */
  readonly updated: RawBuilder<unknown>;
  /** The same of one that is only asked by its primary key. */
  readonly aggregate: RawBuilder<unknown>;
}

/** Dead rows of today are cleared away before they are many, and most updates find room in the same page. */
const UPDATED_IN_PLACE = sql`with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02)`;

export function columnTypes(engine: StoreEngine): ColumnTypes {
  switch (engine) {
    case 'sqlite':
      return {
        sequence: sql`integer`,
        counted: (column) => column.autoIncrement(),
        json: sql`json_text`, // a name with TEXT in it keeps texts as they are; the driver knows them by it
        boolean: sql`boolean`,
        false: sql`0`,
        name: sql`text`,
        updated: sql``,
        aggregate: sql`without rowid`,
      };
    case 'postgres':
      return {
        sequence: sql`bigint`,
        counted: (column) => column.generatedByDefaultAsIdentity(),
        json: sql`jsonb`,
        boolean: sql`boolean`,
        false: sql`false`,
        name: sql`text collate "C"`,
        updated: UPDATED_IN_PLACE,
        aggregate: UPDATED_IN_PLACE,
      };
    default:
      return engine satisfies never;
  }
}
