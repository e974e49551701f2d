// Closed-loop users: each sends its next request when the last one is answered. The options have Locust's names:
//   k6 run -e USERS=40 -e SPAWN_RATE=40 -e RUN_TIME=20s -e HOST=http://127.0.0.1:8080 bench/k6/generate.js
// `npm run bench:k6` runs this and writes Locust's CSV files and k6's summary.
import exec from 'k6/execution';
import http from 'k6/http';
import { Counter, Trend } from 'k6/metrics';

const prompts = JSON.parse(open('../prompts.json'));
const users = Number(__ENV.USERS || 40);
const spawnRate = Number(__ENV.SPAWN_RATE || users);
const host = __ENV.HOST || 'http://127.0.0.1:8080';
const newTokens = 10;

const contentSize = new Trend('content_size');
const failures = new Counter('failures');

/** Converts Locust's `20`, `20s`, `3m`, `1h30m` to seconds. */
function seconds(text) {
  if (/^\d+$/.test(text)) return Number(text);
  const parts = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(text);
  if (text === '' || parts === null) throw new Error(`RUN_TIME is ${text}; use the form 20, 20s, 3m or 1h30m`);
  const [, h = 0, m = 0, s = 0] = parts;
  return Number(h) * 3600 + Number(m) * 60 + Number(s);
}

const runTime = seconds(__ENV.RUN_TIME || '20s');
const ramp = Math.min(runTime, Math.ceil(users / spawnRate));

export const options = {
  scenarios: {
    users: {
      executor: 'ramping-vus',
      startVUs: Math.min(users, spawnRate),
      stages: [
        { duration: `${ramp}s`, target: users },
        { duration: `${runTime - ramp}s`, target: users },
      ],
      gracefulStop: '30s',
      gracefulRampDown: '30s',
    },
  },
  summaryTrendStats: ['avg', 'min', 'med', 'p(90)', 'p(95)', 'p(99)', 'max', 'count'],
};

export default function generate() {
  const prompt = prompts[exec.scenario.iterationInTest % prompts.length];
  const body = JSON.stringify({ prompt, max_new_tokens: newTokens, ignore_eos: true });
  const headers = { 'content-type': 'application/json' };
  const response = http.post(`${host}/generate`, body, { headers, tags: { name: '/generate' }, timeout: '120s' });
  contentSize.add(response.body === null ? 0 : response.body.length, { method: 'POST', name: '/generate' });
  const problem = problemOf(response);
  if (problem !== undefined) failures.add(1, { method: 'POST', name: '/generate', problem });
}

function problemOf(response) {
  if (response.status === 0) return `error ${response.error_code}`;
  if (response.status !== 200) return `status ${response.status}`;
  let usage;
  try {
    ({ usage } = response.json());
  } catch {
    return 'an answer that is not JSON';
  }
  return usage.completion_tokens === newTokens ? undefined : `${usage.completion_tokens} tokens`;
}
