"""What was measured: a value of each server for each measure, and what is wanted of Postern's."""
import json
import platform
import statistics


class Target:
    """Postern's value against another one's: `bound` times it at most, or with `least` at least."""

    def __init__(self, other, bound, least=False):
        self.other, self.bound, self.least = other, bound, least

    def judge(self, values):
        """(ratio, met), or None where there is nothing to compare."""
        ours, theirs = values.get("postern"), values.get(self.other)
        if not ours or not theirs:
            return None
        ratio = ours / theirs
        return ratio, ratio >= self.bound if self.least else ratio <= self.bound

    def text(self):
        return f"{'≥' if self.least else '≤'} {self.bound:g} × {self.other}"


class Bound:
    """Postern's value by itself."""

    def __init__(self, bound, unit):
        self.bound, self.unit = bound, unit

    def judge(self, values):
        ours = values.get("postern")
        return None if ours is None else (ours, ours <= self.bound)

    def text(self):
        return f"≤ {self.bound:g} {self.unit}"


class Results:
    def __init__(self, servers):
        self.columns = list(servers)
        self.rows = []

    def add(self, name, unit, values, *targets):
        for other in values:
            if other not in self.columns:
                self.columns.append(other)
        judged = [(target, target.judge(values)) for target in targets]
        self.rows.append({
            "name": name, "unit": unit, "values": {k: round(v, 4) for k, v in values.items()},
            "targets": [{"target": target.text(), "value": round(found[0], 4), "met": bool(found[1])}
                        for target, found in judged if found is not None]})

    def markdown(self):
        lines = ["| measure | " + " | ".join(self.columns) + " | wanted | got |",
                 "|---|" + "---:|" * len(self.columns) + "---|---|"]
        for row in self.rows:
            cells = [show(row["values"].get(column)) for column in self.columns]
            wanted = "; ".join(t["target"] for t in row["targets"])
            got = "; ".join(f"{t['value']:.2f}{'' if t['met'] else ' **missed**'}"
                            for t in row["targets"])
            lines.append(f"| {row['name']}, {row['unit']} | {' | '.join(cells)} | {wanted} | {got} |")
        return "\n".join(lines)

    def missed(self):
        return [f"{row['name']}: {t['target']}: {t['value']}" for row in self.rows
                for t in row["targets"] if not t["met"]]

    def write_json(self, path, machine):
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"version": 1, "machine": machine, "measures": self.rows}, f, indent=2,
                      ensure_ascii=False)
            f.write("\n")


def show(value):
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def median(values):
    return statistics.median(values)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def describe_machine(packages):
    """Processor, kernel and the versions of what took part."""
    model, cores = "unknown", 0
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                model, cores = line.split(":", 1)[1].strip(), cores + 1
    return {"processor": model, "cores": cores, "kernel": platform.release(), "packages": packages}
