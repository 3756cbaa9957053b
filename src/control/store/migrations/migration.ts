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
}

export function columnTypes(engine: StoreEngine): ColumnTypes {
  switch (engine) {
    case 'sqlite':
      return {
        sequence: sql`integer`,
        counted: (column) => column.autoIncrement(),
        json: sql`json_text`, // a name with TEXT in it keeps texts as they are; the driver knows them by it
        boolean: sql`boolean`,
        false: sql`0`,
      };
    case 'postgres':
      return {
        sequence: sql`bigint`,
        counted: (column) => column.generatedByDefaultAsIdentity(),
        json: sql`jsonb`,
        boolean: sql`boolean`,
        false: sql`false`,
      };
    default:
      return engine satisfies never;
  }
}
