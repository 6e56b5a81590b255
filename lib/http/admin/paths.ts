/** The path of a user's story, below the mount path. */
export function userPath(userId: string): string {
  return `/users/${encodeURIComponent(userId)}`;
}
