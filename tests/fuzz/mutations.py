"""Hostile bytes, numbers and texts: what files are made of that nobody meant well."""

import struct

import yaml
from hypothesis import strategies as st

NUMBERS = [0, 1, 2, 255, 2**15, 2**16 - 1, 2**20, 2**24, 2**31 - 1, 2**31, 2**32 - 1]
LARGE = [2**36 - 1, 10**9, 10**12, 10**15, 2**62, 2**63 - 1, 2**63, 2**64, 10**30, -1, -(2**63)]


@st.composite
def mutated(draw, originals):
    """One of some files, with bytes overwritten, cut out, put in, doubled, or its end cut off."""
    content = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 4))):
        where = draw(st.one_of(st.integers(0, 64), st.integers(0, max(len(content), 1))))
        where = min(where, len(content))
        kind = draw(st.sampled_from(["overwrite", "number", "cut", "insert", "double", "end"]))
        if kind == "overwrite":
            piece = draw(st.binary(min_size=1, max_size=8))
            content[where : where + len(piece)] = piece
        elif kind == "number":
            piece = struct.pack(
                draw(st.sampled_from(["<I", ">I"])), draw(st.sampled_from(NUMBERS)) % 2**32
            )
            content[where : where + 4] = piece
        elif kind == "cut":
            del content[where : where + draw(st.integers(1, 64))]
        elif kind == "insert":
            content[where:where] = draw(st.binary(min_size=1, max_size=64))
        elif kind == "double":
            content[where:where] = content[where : where + draw(st.integers(1, 4096))]
        else:
            del content[where:]
    return bytes(content)


def numbers():
    """Numbers that a field should not have."""
    return st.one_of(
        st.sampled_from(NUMBERS + LARGE),
        st.integers(),
        st.floats(),
        st.sampled_from([float("nan"), float("inf"), -float("inf"), 1e308, 1e-308, -0.0, 0.5]),
    )


def values():
    """Whatever YAML and JSON may hold."""
    scalars = st.one_of(
        numbers(), st.none(), st.booleans(), st.text(max_size=20), st.dates(), st.binary(max_size=9)
    )
    return st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.dictionaries(st.one_of(st.text(max_size=9), st.integers()), inner, max_size=4),
        ),
        max_leaves=8,
    )


@st.composite
def changed(draw, config):
    """A config of sections with a few values of one or two fields replaced, taken away or added."""
    config = {section: dict(fields) for section, fields in config.items()}
    for _ in range(draw(st.integers(1, 2))):
        section = draw(st.sampled_from(sorted(config)))
        fields = config[section]
        kind = draw(st.sampled_from(["number", "value", "take", "add", "section"]))
        if kind == "section" or not isinstance(fields, dict) or not fields:
            config[section] = draw(values())
            break
        field = draw(st.sampled_from(sorted(fields, key=str)))
        if kind == "number":
            fields[field] = draw(numbers())
        elif kind == "value":
            fields[field] = draw(values())
        elif kind == "take":
            del fields[field]
        else:
            fields[draw(st.one_of(st.text(max_size=12), st.integers(), st.none()))] = draw(values())
    return config


ALIASES = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    + ["model: *a29", "mel: *a29"]
)
"""A billion laughs, and more."""

TEXTS = [
    ALIASES,
    "model: &m [*m]\n",
    "model: &m {name: lapflow, groups: *m}\n",
    "model: {<<: &m {name: lapflow}, <<: *m}\n",
    "[" * 100_000,
    "{a: " * 20_000,
    "- " * 50_000,
    "model: !!python/object/apply:os.system ['touch canary']\n",
    "model: !!python/name:os.system\n",
    "model: !!python/object/new:subprocess.Popen [['touch', 'canary']]\n",
    "mel: !!python/module:antigravity\n",
    "model: {name: lapflow, groups: " + "9" * 10_000 + "}\n",
    "model: {name: lapflow, groups: " + ":".join(["59"] * 20_000) + "}\n",
    "model: {name: lapflow, groups: 0x" + "f" * 100_000 + "}\n",
    "model: {name: lapflow, groups: 2001-99-99}\n",
    "model: {name: lapflow, groups: !!binary '!!'}\n",
    "model: {name: lapflow, groups: !!float x}\n",
    "model: {name: lapflow, groups: !!int ''}\n",
    "model: {name: lapflow, channels: 1e9, layers: 1e9}\n",
    "model: {? [a] : b}\n",
    "? {a: b}\n: c\n",
    "model: {name: [lapflow]}\n",
    "model: {name: {a: b}}\n",
    "model: {name: lapflow, =: 1}\n",
    "--- 1\n--- 2\n",
    "%YAML 9.9\n---\n",
    "model: {class_path: os.system, init_args: {command: touch canary}}\n",
    "mel: {class_path: waveflow.MelConfig}\nmodel: {name: nice}\n",
    "model: {name: nice, groups: {class_path: os.system}}\n",
    "'model.name': nice\nmodel: {name: nice, 'groups.x': 4}\n",
    "\x00",
    "\ufeffmodel: {name: nice}\n",
    'a: "\\ud800"\n',
    "",
    "model:",
    "null: null\n",
    "model: {name: nice}\n1: 2\n",
    "model: {name: nice, null: 2}\n",
    "model: {name: nice, 1: 2}\n",
    "model: {name: nice, [1, 2]: 2}\n",
    "model: {name: nice}\nmel: hifigan\n",
]
"""Texts that broke a parser somewhere."""


def yaml_of(config):
    """Such a config as text: by YAML's own writer."""
    return config.map(lambda values: yaml.safe_dump(values, allow_unicode=True, sort_keys=False))


def texts(config):
    """YAML that a config could be."""
    plain = yaml.safe_dump(config).encode()
    return st.one_of(
        st.sampled_from(TEXTS).map(lambda text: text.encode(errors="surrogatepass")),
        yaml_of(changed(config)).map(lambda text: text.encode(errors="surrogatepass")),
        mutated([plain]),
        st.binary(max_size=200),
    )
