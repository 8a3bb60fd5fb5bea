# SPDX-License-Identifier: Apache-2.0
"""The chat formats as Jinja templates, in our own words, and what transformers' apply_chat_template makes of them."""
from transformers import PreTrainedTokenizerFast

# Each renders (system?, user, assistant?) as the chat_template of the models that the format is named for.
LLAMA2 = (
    "{% set first = messages[0]['content'] if messages[0]['role'] == 'system' else none %}"
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}"
    "{% set turn = message['content'] if first is none else "
    "'<<SYS>>\\n' + first + '\\n<</SYS>>\\n\\n' + message['content'] %}"
    "{{ bos_token + '[INST] ' + turn.strip() + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ ' ' + message['content'].strip() + ' ' + eos_token }}{% endif %}"
    "{% endfor %}")
LLAMA3 = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}")
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ ' [INST] ' + message['content'] + '\\n\\n' }}"
    "{% elif message['role'] == 'user' %}"
    "{{ ('' if messages[0]['role'] == 'system' else ' [INST] ') + message['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}")
GEMMA = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\\n' "
    "+ message['content'] | trim + '<end_of_turn>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}")
CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")
PHI3 = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>\\n' + message['content'] + '<|end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}")
ZEPHYR = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>\\n' + message['content'] + eos_token + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}")
# These two are written in their models' code, not in a chat_template.
VICUNA = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] + ' ' }}"
    "{% elif message['role'] == 'user' %}{{ 'USER: ' + message['content'] + ' ASSISTANT:' }}"
    "{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}")
ALPACA = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] + '\\n\\n' }}"
    "{% elif message['role'] == 'user' %}{{ '### Instruction:\\n' + message['content'] + '\\n\\n### Response:\\n' }}"
    "{% else %}{{ message['content'] + eos_token }}{% endif %}{% endfor %}")

# Name: the template, the token that ends an answer, and the system prompt that stands where none is given.
TEMPLATES = {
    "chatml": (CHATML, "<|im_end|>", None),
    "llama2": (LLAMA2, "</s>", None),
    "llama3": (LLAMA3, "<|eot_id|>", None),
    "mistral": (MISTRAL, "</s>", None),
    "gemma": (GEMMA, "<end_of_turn>", None),
    "phi3": (PHI3, "<|end|>", None),
    "zephyr": (ZEPHYR, "</s>", None),
    "vicuna": (VICUNA, "</s>", "A chat between a curious user and an artificial intelligence assistant. The assistant "
               "gives helpful, detailed, and polite answers to the user's questions."),
    "alpaca": (ALPACA, "</s>", "Below is an instruction that describes a task. Write a response that appropriately "
               "completes the request."),
}
WITHOUT_SYSTEM = {"gemma"}


def case(tokenizer, name, system, user, answer, end=None, template=None):
    """The ids of a prompt, of the prompt with its answer up to the end token, and where the answer's begin."""
    own, own_end, default = TEMPLATES[name]
    end = tokenizer.convert_tokens_to_ids(end or own_end)
    template = template or own
    first = system if system is not None else default
    messages = ([] if first is None else [{"role": "system", "content": first}]) + [{"role": "user", "content": user}]
    render = lambda rows, generate: tokenizer.apply_chat_template(
        rows, chat_template=template, add_generation_prompt=generate, tokenize=True, return_dict=False)
    prompt = render(messages, True)
    ids = render(messages + [{"role": "assistant", "content": answer}], False)
    ids = ids[: len(ids) - ids[::-1].index(end)]
    start = next(i for i in range(len(ids)) if i >= len(prompt) or ids[i] != prompt[i])
    return {"template": name, "system": system, "user": user, "answer": answer, "prompt": prompt, "ids": ids,
            "answer_start": start}


def wrap(tokenizer, bos, eos):
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=bos, eos_token=eos)
