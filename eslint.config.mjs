import tseslint from 'typescript-eslint';

/** Which rooms a room may not look into: data flows http -> tracking | rewards -> entities. */
const forbidden = (rooms, message) => ({
  'no-restricted-imports': ['error', { patterns: [{ group: rooms.map((room) => `**/${room}`), message }] }],
});

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', '.postgres/', '.scratch/'] },
  tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['*.js', '*.mjs'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      'eqeqeq': 'error',
      'no-console': ['error', { allow: ['error'] }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-import-type-side-effects': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
    },
  },
  {
    files: [
      'lib/entities/**',
      'lib/input.ts',
      'lib/errors.ts',
      'lib/registry.ts',
      'lib/options.ts',
      'lib/option-checks.ts',
      'lib/types.ts',
      'lib/earning-types.ts',
      'lib/reward-types.ts',
    ],
    rules: forbidden(
      ['http/*', 'cli/*', 'tracking/*', 'rewards/*', 'create-referrals'],
      'Entities and the leaves import nothing from the rooms above them.',
    ),
  },
  {
    files: ['lib/rewards/**'],
    rules: forbidden(['http/*', 'cli/*', 'create-referrals'], 'Rewards do not look up to Express.'),
  },
  {
    files: ['lib/tracking/**'],
    rules: forbidden(
      ['http/*', 'cli/*', 'rewards/*', 'create-referrals'],
      'Tracking looks neither up to Express nor over to rewards, which build on it.',
    ),
  },
  {
    // Answers of supertest, templates and raw queries are any: there, tests say what they expect of them.
    files: ['test/**'],
    rules: {
      'no-console': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-misused-promises': 'off',
    },
  },
  { files: ['examples/**'], rules: { 'no-console': 'off', '@typescript-eslint/no-misused-promises': 'off' } },
  {
    files: ['**/*.js', '**/*.mjs'],
    extends: [tseslint.configs.disableTypeChecked],
    rules: { '@typescript-eslint/no-require-imports': 'off' },
  },
);
