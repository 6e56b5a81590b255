import { cpSync, existsSync } from 'node:fs';
import ts from 'typescript';

/**
 * Builds the package where a source is newer than the build, as `tsc -b` does, and says so only then. `npm run build` makes
 * a clean build: this one leaves the output of a source that is gone.
 */
function build(): ts.ExitStatus {
  const host = ts.createSolutionBuilderHost(ts.sys);
  const builder = ts.createSolutionBuilder(host, ['tsconfig.build.json'], {});
  const outdated = builder.getNextInvalidatedProject();
  if (outdated?.kind === ts.InvalidatedProjectKind.Build) console.log('Building the package…');
  copyAssets();
  return outdated ? outdated.done() : ts.ExitStatus.Success;
}

/** Copies what the pages load, which the compiler does not. */
function copyAssets(): void {
  const assets = 'lib/http/views/assets';
  if (existsSync(assets)) cpSync(assets, `dist/${assets}`, { recursive: true });
}

process.exitCode = build();
