import type { Settings } from '../../options';

/**
 * Returns the public URL of a path of this app, with the origin of `baseUrl`, because a client can forge the header
 * `Host`. If `baseUrl` has a path, the host's app may itself be mounted at that path. Then `path` contains it already.
 */
export function publicUrl({ baseUrl, sitePath }: Settings, path: string): string {
  return `${baseUrl.origin}${path.startsWith(`${sitePath}/`) ? '' : sitePath}${path}`;
}
