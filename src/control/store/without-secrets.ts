/** A field whose name says that it holds one: what scripts put into `metadata` can be a credential of something else. */
const SECRET_NAME =
  /secret|password|passwd|credential|private_?key|api_?key|access_?key|auth_?token|authorization|bearer/i;
const HIDDEN = '(hidden)';

/** The same value with texts of such fields replaced, however deep they lie. */
export function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      SECRET_NAME.test(name) && typeof inner === 'string' ? HIDDEN : withoutSecrets(inner),
    ]),
  );
}
