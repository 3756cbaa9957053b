import type { DeploymentSpec } from '../../contract/snapshot.ts';

/** What a deployment says of itself in usage events, as pieces of JSON: made once, so that a line is few pieces. */
export interface EventTexts {
  /** `"deployment":…,"provider":…` */
  readonly identity: string;
  /** `"group":…,"deployment":…,"provider":…,"upstreamModel":…,"stream":` where group and model are its own. */
  readonly route: string;
  /** `,"status":200,…,"durationMs":` of an event whose one attempt went well. */
  readonly success: string;
}

export function eventTexts(spec: DeploymentSpec): EventTexts {
  const id = JSON.stringify(spec.id);
  const identity = `"deployment":${id},"provider":${JSON.stringify(spec.provider)}`;
  return Object.freeze({
    identity,
    route: `"group":${JSON.stringify(spec.groupName)},${identity},"upstreamModel":${JSON.stringify(spec.upstreamModel)},"stream":`,
    success: `,"status":200,"error":null,"aborted":null,"attempts":[{"deployment":${id},"status":200,"error":null,"durationMs":`,
  });
}
