"""A reader of Prometheus' text exposition format (version 0.0.4) that takes nothing but what the
format's description allows, and not even what it only tolerates: families in one piece, HELP and
TYPE before their samples, no timestamps, no sample twice."""
import math
import re

NAME = r"[a-zA-Z_][a-zA-Z0-9_]*"
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)")
LABEL = re.compile(rf'({NAME})="((?:[^"\\\n]|\\[\\"n])*)"(,|\Z)')


class Family:
    def __init__(self, name, about):
        self.name, self.help, self.type, self.samples = name, about, None, {}

    def label_names(self):
        return sorted({name for _, labels in self.samples for name, _ in labels} - {"le"})


def parse_labels(text):
    labels = []
    while text:
        found = LABEL.match(text)
        assert found, f"labels: {text!r}"
        name, value, comma = found.groups()
        value = re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m.group(1), m.group(1)), value)
        labels.append((name, value))
        text = text[found.end():]
        assert not comma or text, "a comma at the end"
    assert len({name for name, _ in labels}) == len(labels), f"a label twice: {labels}"
    return tuple(labels)


def parse_value(text):
    assert re.fullmatch(r"[0-9]+(\.[0-9]+)?", text), f"value: {text!r}"
    return float(text) if "." in text else int(text)


def check_histogram(family):
    name = family.name
    buckets = [(dict(labels)["le"], value) for (sample, labels), value in family.samples.items()
               if sample == name + "_bucket"]
    bounds = [math.inf if bound == "+Inf" else float(bound) for bound, _ in buckets]
    counts = [value for _, value in buckets]
    assert bounds == sorted(set(bounds)) and bounds[-1] == math.inf, bounds
    assert counts == sorted(counts), counts
    assert family.samples[(name + "_count", ())] == counts[-1], counts
    assert (name + "_sum", ()) in family.samples and len(family.samples) == len(buckets) + 2


def add_sample(family, line):
    found = SAMPLE.fullmatch(line)
    assert found, f"neither comment nor sample: {line!r}"
    name, labels, value = found.groups()
    suffixes = ("_bucket", "_sum", "_count") if family.type == "histogram" else ("",)
    assert name in {family.name + suffix for suffix in suffixes}, f"{name} within {family.name}"
    assert labels != "", "empty braces"
    key = (name, parse_labels(labels or ""))
    assert key not in family.samples, f"twice: {key}"
    family.samples[key] = parse_value(value)


def parse(text):
    """{name: Family} in the order of the text, which must be all in order."""
    assert text.endswith("\n") and text.isascii(), "not whole lines of ASCII"
    families, current = {}, None
    for line in text[:-1].split("\n"):
        about = re.fullmatch(rf"# HELP ({NAME}) (\S.*)", line)
        kind = re.fullmatch(rf"# TYPE ({NAME}) (counter|gauge|histogram)", line)
        if about:
            assert about.group(1) not in families, f"{about.group(1)} in two pieces"
            current = families[about.group(1)] = Family(*about.groups())
        elif kind:
            assert current and kind.group(1) == current.name and current.type is None, line
            assert not current.samples, f"TYPE behind samples: {line}"
            current.type = kind.group(2)
        else:
            assert current and current.type, f"a sample before its TYPE: {line}"
            add_sample(current, line)
    for family in families.values():
        assert family.type, family.name
        assert (family.type == "counter") == family.name.endswith("_total"), family.name
        if family.type == "histogram":
            check_histogram(family)
    return families


class Values:
    """The samples of one reading, by name and labels."""

    def __init__(self, text):
        self.text, self.families = text, parse(text)
        self.samples = {(name, frozenset(labels)): value for family in self.families.values()
                        for (name, labels), value in family.samples.items()}

    def __call__(self, name, **labels):
        """0 where there is no such sample: what never happened to a tenant isn't there."""
        return self.samples.get((name, frozenset(labels.items())), 0)

    def since(self, before):
        """{(name, labels): difference} of counters that have grown; none may have shrunk."""
        grown = {}
        for family in self.families.values():
            for (name, labels), value in family.samples.items():
                if family.type == "gauge":
                    continue
                more = value - before.samples.get((name, frozenset(labels)), 0)
                assert more >= 0, f"{name} {labels} went back by {-more}"
                if more:
                    grown[(name, frozenset(labels))] = more
        return grown
