/** What the row of a budget in the limit table is found by. @param owner `budgetOwner`. */
export function budgetRowText(owner: string): string {
  return `budget:${owner}`;
}
