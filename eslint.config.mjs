import { createNodeResolver, importX } from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

/** The rooms, from the top down. A room may import only from rooms below it. */
const floors = [
  ['./lib/index.ts'],
  ['./lib/create-referrals.ts'],
  ['./lib/cli', './lib/http'],
  ['./lib/rewards'],
  ['./lib/tracking'],
  ['./lib/database'],
  ['./lib/options.ts', './lib/option-checks.ts', './lib/option-defaults.ts'],
  ['./lib/entities'],
  ['./lib/registry.ts'],
  ['./lib/input.ts'],
  ['./lib/types', './lib/limits.ts', './lib/errors.ts', './lib/shown.ts'],
];

const upward = floors.slice(1).map((target, floor) => ({
  target,
  from: floors.slice(0, floor + 1).flat(),
  except: ['./views/texts'], // of ./lib/http: the words of pages are a leaf, which the options name
  message: 'Data flows down: http, cli > rewards > tracking > database > entities > types.',
}));

/** Rooms of one floor that must not import each other. */
const apart = [
  ['./lib/cli', './lib/http'],
  ['./lib/http', './lib/cli'],
  ['./lib/rewards/signups', './lib/rewards/commissions'],
  ['./lib/rewards/commissions', './lib/rewards/signups'],
].map(([target, from]) => ({ target, from, message: 'The two meet only where they are wired.' }));

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', '.postgres/', '.pictures/', '.scratch/'] },
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
    files: ['lib/**/*.{ts,tsx}', 'migrations/**/*.ts'],
    plugins: { 'import-x': importX },
    settings: {
      'import-x/extensions': ['.ts', '.tsx'],
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts', '.tsx'] },
      'import-x/resolver-next': [createNodeResolver({ extensions: ['.ts', '.tsx', '.js'] })],
    },
    rules: {
      // Imports of types do not count, because they do not exist at run time.
      'import-x/no-cycle': 'error',
      'import-x/no-restricted-paths': ['error', { zones: [...upward, ...apart] }],
      'import-x/order': ['error', { 'alphabetize': { order: 'asc' }, 'newlines-between': 'never' }],
    },
  },
  {
    // The results of supertest, templates and raw queries have the type `any`. Tests say what they expect.
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
