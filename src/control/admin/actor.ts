import type { Actor } from '../store/change-log.ts';
import type { AdminServices } from './admin-services.ts';
import type { AdminCall } from './endpoint.ts';

/** As the audit log shows who holds it. */
const MASTER_KEY_ACTOR = 'master key';

/** Who makes a change, for the audit log: `litellm-changed-by` where an administrator says so. */
export function actorOf(
  call: Pick<AdminCall<unknown, unknown>, 'caller' | 'changedBy'>,
  services: AdminServices,
): Actor {
  const { caller } = call;
  const changedBy =
    caller.role === 'admin' ? (call.changedBy ?? MASTER_KEY_ACTOR) : (caller.record.userId ?? caller.record.hash);
  return { changedBy, nowMs: services.now() };
}
