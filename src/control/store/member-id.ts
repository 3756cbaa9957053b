/** A member of a team as one id, in the audit log and among the changes. */
export function memberId(teamId: string, userId: string): string {
  return `${encodeURIComponent(teamId)}/${encodeURIComponent(userId)}`;
}

export function parseMemberId(id: string): { readonly teamId: string; readonly userId: string } {
  const [teamId = '', userId = ''] = id.split('/').map(decodeURIComponent);
  return { teamId, userId };
}
