const path = require('node:path');
const { projects, globalSetup, globalTeardown, testTimeout, maxWorkers } = require('../../jest.config');

const rootDir = path.join(__dirname, '..', '..');

/** The tests in a browser: `npm run test:browser`. `npm test` does not run them. */
/** @type {import('jest').Config} */
module.exports = {
  rootDir,
  globalSetup,
  globalTeardown,
  testTimeout,
  maxWorkers,
  projects: [
    {
      ...projects[0],
      rootDir,
      displayName: 'browser',
      testMatch: ['<rootDir>/test/browser/*.test.ts'],
      testPathIgnorePatterns: ['/node_modules/'],
    },
  ],
};
