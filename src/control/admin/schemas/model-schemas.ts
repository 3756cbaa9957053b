import { z } from 'zod';
import { jsonObject } from './common-fields.ts';

export const modelInfoQuery = z.object({ litellm_model_id: z.string().optional().describe('Only this deployment.') });

export const modelInfoReply = z.object({
  data: z.array(
    z.object({
      model_name: z.string(),
      litellm_params: jsonObject().describe('Without secrets.'),
      model_info: jsonObject(),
    }),
  ),
});
