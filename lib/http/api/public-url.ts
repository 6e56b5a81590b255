import type { Settings } from '../../options';

/**
 * The public address of a path of this app, on the origin of `baseUrl`: a client can forge the header Host. If `baseUrl` has a path, the
 * host's app may itself be mounted there. Then `path` has it already.
 */
export function publicUrl({ baseUrl, sitePath }: Settings, path: string): string {
  return `${baseUrl.origin}${path.startsWith(`${sitePath}/`) ? '' : sitePath}${path}`;
}
