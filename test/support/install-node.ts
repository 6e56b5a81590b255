import { installNode } from './node-binary';

const [version, folder] = process.argv.slice(2) as [string, string];
try {
  console.log(installNode(version, folder));
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
