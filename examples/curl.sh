#!/bin/sh
set -eu
url=${WEFT_URL:-http://127.0.0.1:8080}

# Sends a JSON body to a route.
post() {
  curl --silent --show-error --fail-with-body --no-buffer "$url$1" -H 'content-type: application/json' -d "$2"
  echo
}

# Weft's own dialect: one reply, then a stream.
post /generate '{"prompt": "Once upon a time", "max_new_tokens": 20}'
post /generate '{"prompt": "Once upon a time", "max_new_tokens": 20, "stream": true}'

# OpenAI's dialect.
post /v1/completions '{"model": "opt-stories", "prompt": "Once upon a time", "max_tokens": 20, "temperature": 0}'
post /v1/chat/completions '{"model": "opt-stories", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 20}'

# TGI's dialect: one reply, then a stream.
post /generate '{"inputs": "Once upon a time", "parameters": {"max_new_tokens": 20}}'
post /generate_stream '{"inputs": "Once upon a time", "parameters": {"max_new_tokens": 20}}'
