/** @type {import('jest').Config} */
const shared = {
  testEnvironment: 'node',
  transform: { '^.+\\.tsx?$': 'ts-jest' },
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/\\.postgres/'],
};

/** The suites that also run on the oldest supported majors: the main journey, and those that use a peer the most. */
const suites = (...names) => names.map((name) => `<rootDir>/test/${name}.test.ts`);
const compatibility = suites('compatibility');
const onExpress = suites('api', 'api-input', 'create-route', 'admin', 'pages', 'pages-attacks', 'pages-hosts');
const onTypeorm = suites(
  'managers',
  'managers-records',
  'signups',
  'ledger',
  'managers-earnings',
  'refunds',
  'earn-outs',
  'callbacks',
  'connections',
);
/** Also run on the Citus cluster that CITUS_URL names. */
const onCluster = suites('journey', 'click', 'sign-in', 'responses', 'attribution', 'late-attribution', 'own-links');
const cluster = {
  ...shared,
  displayName: 'Citus',
  testMatch: onCluster,
  setupFiles: ['<rootDir>/test/support/on-cluster.ts'],
};

/** @type {import('jest').Config} */
module.exports = {
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  globalTeardown: '<rootDir>/test/support/global-teardown.ts',
  // So long that only a test that hangs exceeds it, even on a machine that is ten times slower, or while npm downloads
  // the packages of a consumer.
  testTimeout: 1_800_000,
  maxWorkers: 2,
  projects: [
    {
      ...shared,
      displayName: 'express 5, typeorm 1',
      testMatch: ['<rootDir>/test/**/*.test.ts', '<rootDir>/examples/testing/*.test.ts'],
    },
    {
      ...shared,
      displayName: 'express 4',
      testMatch: [...compatibility, ...onExpress],
      moduleNameMapper: { '^express$': '<rootDir>/node_modules/express-4' },
    },
    {
      ...shared,
      displayName: 'typeorm 0.3',
      testMatch: [...compatibility, ...onTypeorm],
      moduleNameMapper: { '^typeorm$': '<rootDir>/node_modules/typeorm-0.3' },
    },
    ...(process.env.CITUS_URL ? [cluster] : []),
  ],
};
