import type { WireFamily } from '../endpoints.ts';

/** A provider that speaks one of our wire families: an address, a key and a header are all it takes. */
export interface ProviderSpec {
  readonly family: WireFamily;
  /** Base URL of its API; null = every deployment names its own `api_base`. */
  readonly baseUrl: string | null;
  /** Environment variables with the base URL, the first set one wins. */
  readonly baseUrlEnv: readonly string[];
  /** Environment variables with the key, the first set one wins. */
  readonly keyEnv: readonly string[];
  /** How the key is sent. */
  readonly credential: 'bearer' | 'x-api-key' | 'api-subscription-key';
  /** Answers without a key, so that none is asked for. */
  readonly keyless: boolean;
  /** Put before a `baseUrl` path that is empty: the server's OpenAI-compatible part. */
  readonly pathWhenBare: string;
  /** Put before model names that do not have it yet. */
  readonly modelPrefix: string;
}

const OPENAI_COMPATIBLE: ProviderSpec = {
  family: 'openai',
  baseUrl: null,
  baseUrlEnv: [],
  keyEnv: [],
  credential: 'bearer',
  keyless: false,
  pathWhenBare: '',
  modelPrefix: '',
};

/** Hosted, OpenAI-compatible: base URL, and the variables with the key. */
function hosted(baseUrl: string, keyEnv: string | readonly string[], rest: Partial<ProviderSpec> = {}): ProviderSpec {
  return { ...OPENAI_COMPATIBLE, baseUrl, keyEnv: typeof keyEnv === 'string' ? [keyEnv] : keyEnv, ...rest };
}

/** Run by the user, OpenAI-compatible: often without a key. */
function local(name: string, rest: Partial<ProviderSpec> = {}): ProviderSpec {
  const prefix = name.toUpperCase();
  return {
    ...OPENAI_COMPATIBLE,
    baseUrlEnv: [`${prefix}_API_BASE`],
    keyEnv: [`${prefix}_API_KEY`],
    keyless: true,
    ...rest,
  };
}

/** By LiteLLM's provider name, the part of `model` before the first slash. */
export const PROVIDERS: ReadonlyMap<string, ProviderSpec> = new Map<string, ProviderSpec>([
  [
    'openai',
    hosted('https://api.openai.com/v1', 'OPENAI_API_KEY', { baseUrlEnv: ['OPENAI_BASE_URL', 'OPENAI_API_BASE'] }),
  ],
  [
    'anthropic',
    {
      ...OPENAI_COMPATIBLE,
      family: 'anthropic',
      baseUrl: 'https://api.anthropic.com',
      baseUrlEnv: ['ANTHROPIC_API_BASE', 'ANTHROPIC_BASE_URL'],
      keyEnv: ['ANTHROPIC_API_KEY'],
      credential: 'x-api-key',
    },
  ],
  [
    'text-completion-openai',
    hosted('https://api.openai.com/v1', 'OPENAI_API_KEY', { baseUrlEnv: ['OPENAI_BASE_URL'] }),
  ],

  ['abliteration', hosted('https://api.abliteration.ai/v1', 'ABLITERATION_API_KEY')],
  ['aihubmix', hosted('https://aihubmix.com/v1', 'AIHUBMIX_API_KEY', { baseUrlEnv: ['AIHUBMIX_API_BASE'] })],
  ['aiml', hosted('https://api.aimlapi.com/v1', 'AIML_API_KEY', { baseUrlEnv: ['AIML_API_BASE'] })],
  [
    'anyscale',
    hosted('https://api.endpoints.anyscale.com/v1', 'ANYSCALE_API_KEY', { baseUrlEnv: ['ANYSCALE_API_BASE'] }),
  ],
  ['apertis', hosted('https://api.stima.tech/v1', 'STIMA_API_KEY')],
  ['assemblyai', hosted('https://llm-gateway.assemblyai.com/v1', 'ASSEMBLYAI_API_KEY')],
  ['baseten', hosted('https://inference.baseten.co/v1', 'BASETEN_API_KEY', { baseUrlEnv: ['BASETEN_API_BASE'] })],
  ['cerebras', hosted('https://api.cerebras.ai/v1', 'CEREBRAS_API_KEY', { baseUrlEnv: ['CEREBRAS_API_BASE'] })],
  ['chutes', hosted('https://llm.chutes.ai/v1', 'CHUTES_API_KEY')],
  ['cometapi', hosted('https://api.cometapi.com/v1', ['COMETAPI_KEY', 'COMETAPI_API_KEY'])],
  ['crusoe', hosted('https://managed-inference-api-proxy.crusoecloud.com/v1', 'CRUSOE_API_KEY')],
  [
    'dashscope',
    hosted('https://dashscope-intl.aliyuncs.com/compatible-mode/v1', 'DASHSCOPE_API_KEY', {
      baseUrlEnv: ['DASHSCOPE_API_BASE'],
    }),
  ],
  [
    'deepinfra',
    hosted('https://api.deepinfra.com/v1/openai', 'DEEPINFRA_API_KEY', { baseUrlEnv: ['DEEPINFRA_API_BASE'] }),
  ],
  ['deepseek', hosted('https://api.deepseek.com/v1', 'DEEPSEEK_API_KEY', { baseUrlEnv: ['DEEPSEEK_API_BASE'] })],
  ['empower', hosted('https://app.empower.dev/api/v1', 'EMPOWER_API_KEY', { baseUrlEnv: ['EMPOWER_API_BASE'] })],
  ['featherless_ai', hosted('https://api.featherless.ai/v1', 'FEATHERLESS_AI_API_KEY')],
  [
    'fireworks_ai',
    hosted(
      'https://api.fireworks.ai/inference/v1',
      ['FIREWORKS_API_KEY', 'FIREWORKS_AI_API_KEY', 'FIREWORKSAI_API_KEY'],
      {
        baseUrlEnv: ['FIREWORKS_API_BASE'],
        modelPrefix: 'accounts/fireworks/models/',
      },
    ),
  ],
  [
    'friendliai',
    hosted('https://api.friendli.ai/serverless/v1', ['FRIENDLIAI_API_KEY', 'FRIENDLI_TOKEN'], {
      baseUrlEnv: ['FRIENDLI_API_BASE'],
    }),
  ],
  ['galadriel', hosted('https://api.galadriel.com/v1', 'GALADRIEL_API_KEY', { baseUrlEnv: ['GALADRIEL_API_BASE'] })],
  ['github', hosted('https://models.inference.ai.azure.com', 'GITHUB_API_KEY', { baseUrlEnv: ['GITHUB_API_BASE'] })],
  ['gmi', hosted('https://api.gmi-serving.com/v1', 'GMI_API_KEY')],
  ['groq', hosted('https://api.groq.com/openai/v1', 'GROQ_API_KEY', { baseUrlEnv: ['GROQ_API_BASE'] })],
  ['helicone', hosted('https://ai-gateway.helicone.ai', 'HELICONE_API_KEY')],
  ['hyperbolic', hosted('https://api.hyperbolic.xyz/v1', 'HYPERBOLIC_API_KEY')],
  ['llamagate', hosted('https://api.llamagate.dev/v1', 'LLAMAGATE_API_KEY')],
  ['meta_llama', hosted('https://api.llama.com/compat/v1', 'LLAMA_API_KEY', { baseUrlEnv: ['LLAMA_API_BASE'] })],
  ['mistral', hosted('https://api.mistral.ai/v1', 'MISTRAL_API_KEY', { baseUrlEnv: ['MISTRAL_API_BASE'] })],
  ['moonshot', hosted('https://api.moonshot.ai/v1', 'MOONSHOT_API_KEY', { baseUrlEnv: ['MOONSHOT_API_BASE'] })],
  ['nano-gpt', hosted('https://nano-gpt.com/api/v1', 'NANOGPT_API_KEY')],
  ['nebius', hosted('https://api.studio.nebius.ai/v1', 'NEBIUS_API_KEY')],
  ['novita', hosted('https://api.novita.ai/v3/openai', 'NOVITA_API_KEY')],
  [
    'nvidia_nim',
    hosted('https://integrate.api.nvidia.com/v1', 'NVIDIA_NIM_API_KEY', { baseUrlEnv: ['NVIDIA_NIM_API_BASE'] }),
  ],
  [
    'openrouter',
    hosted('https://openrouter.ai/api/v1', ['OPENROUTER_API_KEY', 'OR_API_KEY'], {
      baseUrlEnv: ['OPENROUTER_API_BASE'],
    }),
  ],
  [
    'perplexity',
    hosted('https://api.perplexity.ai', ['PERPLEXITYAI_API_KEY', 'PERPLEXITY_API_KEY'], {
      baseUrlEnv: ['PERPLEXITY_API_BASE'],
    }),
  ],
  ['poe', hosted('https://api.poe.com/v1', 'POE_API_KEY')],
  ['publicai', hosted('https://api.publicai.co/v1', 'PUBLICAI_API_KEY', { baseUrlEnv: ['PUBLICAI_API_BASE'] })],
  ['salad_cloud', hosted('https://ai.salad.cloud/v1', 'SALAD_CLOUD_API_KEY')],
  ['sambanova', hosted('https://api.sambanova.ai/v1', 'SAMBANOVA_API_KEY', { baseUrlEnv: ['SAMBANOVA_API_BASE'] })],
  ['sarvam', hosted('https://api.sarvam.ai/v1', 'SARVAM_API_KEY', { credential: 'api-subscription-key' })],
  ['scaleway', hosted('https://api.scaleway.ai/v1', 'SCW_SECRET_KEY')],
  ['synthetic', hosted('https://api.synthetic.new/openai/v1', 'SYNTHETIC_API_KEY')],
  [
    'together_ai',
    hosted(
      'https://api.together.xyz/v1',
      ['TOGETHER_API_KEY', 'TOGETHER_AI_API_KEY', 'TOGETHERAI_API_KEY', 'TOGETHER_AI_TOKEN'],
      { baseUrlEnv: ['TOGETHER_AI_API_BASE'] },
    ),
  ],
  ['v0', hosted('https://api.v0.dev/v1', 'V0_API_KEY')],
  ['veniceai', hosted('https://api.venice.ai/api/v1', 'VENICE_AI_API_KEY')],
  ['vercel_ai_gateway', hosted('https://ai-gateway.vercel.sh/v1', ['VERCEL_AI_GATEWAY_API_KEY', 'VERCEL_OIDC_TOKEN'])],
  [
    'volcengine',
    hosted('https://ark.cn-beijing.volces.com/api/v3', ['VOLCENGINE_API_KEY', 'ARK_API_KEY'], {
      baseUrlEnv: ['VOLCENGINE_API_BASE'],
    }),
  ],
  ['xai', hosted('https://api.x.ai/v1', 'XAI_API_KEY', { baseUrlEnv: ['XAI_API_BASE'] })],
  ['xiaomi_mimo', hosted('https://api.xiaomimimo.com/v1', 'XIAOMI_MIMO_API_KEY')],
  ['zai', hosted('https://api.z.ai/api/paas/v4', 'ZAI_API_KEY', { baseUrlEnv: ['ZAI_API_BASE'] })],

  ['custom_openai', local('custom_openai')],
  ['docker_model_runner', local('docker_model_runner', { baseUrl: 'http://localhost:12434/engines/llama.cpp/v1' })],
  ['hosted_vllm', local('hosted_vllm')],
  ['lemonade', local('lemonade', { baseUrl: 'http://localhost:8000/api/v1' })],
  ['litellm_proxy', local('litellm_proxy', { keyless: false })],
  ['llamafile', local('llamafile', { baseUrl: 'http://127.0.0.1:8080/v1' })],
  ['lm_studio', local('lm_studio')],
  ['ollama', local('ollama', { baseUrl: 'http://localhost:11434', pathWhenBare: '/v1' })],
  ['ollama_chat', local('ollama', { baseUrl: 'http://localhost:11434', pathWhenBare: '/v1' })],
  ['openai_like', local('openai_like')],
  ['vllm', local('vllm')],
  ['xinference', local('xinference', { baseUrl: 'http://127.0.0.1:9997/v1' })],

  // OpenAI-compatible too, but their address differs by account or is not settled: they need api_base.
  ...[
    'amazon_nova',
    'bytez',
    'charity_engine',
    'compactifai',
    'datarobot',
    'gradient_ai',
    'heroku',
    'lambda_ai',
    'minimax',
    'morph',
    'nscale',
    'ovhcloud',
    'wandb',
  ].map((name): [string, ProviderSpec] => [name, { ...OPENAI_COMPATIBLE, keyEnv: [`${name.toUpperCase()}_API_KEY`] }]),
]);

/** Prefixes that are providers in LiteLLM with a protocol or an authentication of their own, which is not done yet. */
export const UNSUPPORTED_PROVIDERS: ReadonlySet<string> = new Set(
  `ai21 ai21_chat aleph_alpha anthropic_text auto_router aws_polly azure azure_ai azure_text bedrock bedrock_converse
   bedrock_mantle black_forest_labs chatgpt clarifai cloudflare codestral cohere cohere_chat databricks deepgram
   elevenlabs fal_ai gemini gigachat github_copilot huggingface infinity jina_ai langgraph manus maritalk nlp_cloud oci
   palm petals predibase ragflow recraft replicate runwayml sagemaker sagemaker_chat sap snowflake stability
   text-completion-codestral topaz triton vertex_ai vertex_ai_beta voyage watsonx watsonx_text`.split(/\s+/),
);
