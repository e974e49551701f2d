/**
 * For models without a template: a transcript, which a model that was trained on plain text continues well. Messages of the system come
 * without a role, like a text in front of the transcript.
 */
export const defaultTemplate = `
{{- bos_token }}
{%- for message in messages %}
  {%- if message.role in ['system', 'developer'] %}
    {{- message.content }}{{ '\\n\\n' }}
  {%- else %}
    {{- message.role | capitalize }}: {{ message.content }}{{ '\\n' }}
  {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
  {{- 'Assistant:' }}
{%- endif %}`;
