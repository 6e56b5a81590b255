import { entityOf } from '../lib/entities';
import { historicColumns, otherIdColumns, userColumns } from '../lib/entities/user-columns';
import { lengths } from '../lib/limits';
import { closeAll, openDataSource } from './support/host';

afterAll(closeAll);

test('every column that is as long as an id is listed as that of a user, or as something else', async () => {
  const { dataSource } = { dataSource: await openDataSource() };
  const listed = [userColumns, historicColumns, otherIdColumns].flatMap((lists) =>
    Object.entries<readonly string[]>(lists).flatMap(([table, columns]) => columns.map((name) => `${table}.${name}`)),
  );
  const found = Object.entries(entityOf).flatMap(([table, entity]) =>
    dataSource
      .getMetadata(entity)
      .columns.filter(({ type, length }) => type === 'varchar' && Number(length) === lengths.id)
      .map(({ databaseName }) => `${table}.${databaseName}`),
  );
  expect(listed.sort()).toEqual(found.sort());
});
