"""Write `transforms/dialect/control_tokens.py` anew: the control tokens of chat models, by family.

    pip download --no-deps transformers mistral-common && unzip -q '*.whl'
    python .dev/control_tokens.py transformers/models mistral_common [glm=PATH/tokenizer.json ...]

Tokens are what stands as such in the code of a family's tokenizer, processor and conversion, and what a `tokenizer.json`
or `tokenizer_config.json` lists as added. Those that are only in files of a model's own are in `TEMPLATES`.
"""

import ast
import json
import re
import sys
from collections import defaultdict
from pathlib import Path

TOKEN = re.compile(r"</?[A-Za-z_|｜/][^<>\s\\*()+]{0,40}>|\[/?[A-Za-z][A-Za-z_]{1,30}\]|\][~<][^\s\\]{1,16}|\[e~\[")
CHATTING = (
    *("chameleon", "code_llama", "cohere", "csm", "deepseek", "emu3", "ernie", "exaone", "fuyu", "gemma", "glm", "got_ocr"),
    *("gpt_oss", "granite", "hunyuan", "idefics", "internvl", "jamba", "kimi", "llama", "llava", "longcat", "minimax"),
    *("mistral", "mixtral", "molmo", "nemotron", "olmo", "ovis", "paligemma", "phi", "pixtral", "qwen", "seed", "smolvlm"),
    *("step", "voxtral", "mllama", "aria", "aya", "janus", "lfm2", "mimo", "bamba", "falcon"),
)
"""Starts of the names of families whose models chat; those of encoders (`[CLS]`) and of tables (`<td>`) are words."""
PLAIN = re.compile(r"</?(?:table|t[dhr]|thead|tbody|html|body|point|poly|line|doc|object|br|url|email|date|price|sep|sp|tab|placeholder|blank)/?>|.*\{.*|\]<\]")
TEMPLATES = {
    "gemma": (
        *("<start_function_declaration>", "<end_function_declaration>", "<start_function_call>", "<end_function_call>"),
        *("<start_function_response>", "<end_function_response>", "<escape>", "<tool_code>", "</tool_code>"),
        *("<|turn>", "<turn|>", "<|tool>", "<tool|>", "<|tool_call>", "<tool_call|>", "<|tool_response>"),
        *("<tool_response|>", "<|channel>", "<channel|>", "<|image>", "<image|>", "<|audio>", "<audio|>", '<|"|>', "<|think|>"),
    ),
    "mistral": (
        *("[MODEL_SETTINGS]", "[/MODEL_SETTINGS]", "[AUDIO]", "[BEGIN_AUDIO]", "[TRANSCRIBE]", "[THINK]", "[/THINK]"),
        *("[ARGS]", "[CALL_ID]", "[TOOL_CONTENT]", "[/TOOL_CONTENT]", "[REF]", "[/REF]"),
    ),
    "glm": ("[gMASK]", "[sMASK]", "[MASK]", "<sop>", "<eop>", "<eod>", "<|observation|>", "<arg_key>", "<arg_value>", "/nothink"),
    "seed": ("<seed:bos>", "<seed:eos>", "<seed:pad>", "<seed:think>", "</seed:think>", "<seed:tool_call>", "</seed:tool_call>"),
    "minimax": ("<minimax:tool_call>", "</minimax:tool_call>", "]~!b[", "]~b]", "[e~[", "<fim_prefix>", "<fim_suffix>"),
    "nemotron": ("<TOOLCALL>", "</TOOLCALL>", "<AVAILABLE_TOOLS>", "</AVAILABLE_TOOLS>", "<SPECIAL_10>", "<SPECIAL_11>"),
    "kimi": ("<|tool_calls_section_begin|>", "◁think▷", "◁/think▷", "[BOS]", "[EOS]"),
    "longcat": ("<longcat_tool_call>", "</longcat_tool_call>", "<longcat_think>", "<longcat_arg_key>"),
    "internlm": ("<|action_start|>", "<eoa>", "<eoh>", "<sep>"),
    "olmo": ("<function_calls>", "</function_calls>", "<functions>", "</functions>"),
    "llama": ("<|python_tag|>", "<<SYS>>", "<</SYS>>"),
    "harmony": ("<|start|>", "<|channel|>", "<|message|>", "<|constrain|>", "<|call|>", "<|return|>", "<|end|>"),
}


def tokens_of_code(folder: Path) -> dict[str, set[str]]:
    """Tokens by family, of folders of code that are called as families are."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(folder.rglob("*.py")):
        family = "mistral" if "mistral_common" in path.parts else path.relative_to(folder).parts[0]
        if family.startswith(CHATTING):
            texts = (node.value for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Constant))
            found[family] |= {text for text in texts if isinstance(text, str) and TOKEN.fullmatch(text)}
    return found


def tokens_of_tokenizer(path: Path) -> set[str]:
    """What a tokenizer's file lists as added."""
    data = json.loads(path.read_text("utf-8"))
    listed = data.get("added_tokens") or list(data.get("added_tokens_decoder", {}).values())
    return {token["content"] for token in listed if TOKEN.fullmatch(token["content"])}


def main(arguments: list[str]) -> None:
    """Write the table."""
    table: dict[str, set[str]] = defaultdict(set, {family: set(tokens) for family, tokens in TEMPLATES.items()})
    for argument in arguments:
        family, named, path = argument.partition("=")
        found = {family: tokens_of_tokenizer(Path(path))} if named else tokens_of_code(Path(argument))
        for name, tokens in found.items():
            table[name] |= tokens
    lines = ['"""Control tokens of chat models, by family. Written by `.dev/control_tokens.py`."""', "", "from typing import Final", ""]
    lines += ["TOKENS: Final[dict[str, tuple[str, ...]]] = {"]
    for family, tokens in sorted(table.items()):
        kept = sorted(token for token in tokens if not PLAIN.fullmatch(token.lower()))
        if kept:
            lines += [f"    {json.dumps(family)}: (", *(f"        {token!r}," for token in kept), "    ),"]
    Path(__file__).parents[1].joinpath("transforms/dialect/control_tokens.py").write_text("\n".join([*lines, "}", ""]), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
