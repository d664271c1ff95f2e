"""The page of the claims: one matrix of claims by data sets, and the rule behind each."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping

import pandas as pd

from singlefilter.drawing import with_symbols
from singlefilter.site.words import markdown
from singlefilter.studies.declaration import number
from singlefilter.studies.growth import claims as growth
from singlefilter.studies.layers import claims as layers
from singlefilter.studies.pruning import claims as pruning
from singlefilter.studies.rules import Rule

SIGNS = {"supported": "✓", "not supported": "✗", "undecided": "?"}
_NOT_TRIED = "not tried"
_INTRODUCTION = """\
# Claims by data sets

A row for each claim, a column for each profile whose results are here. In a cell: the verdict as a sign and in a
colour, the estimate, and its 95 % interval. The verdict needs the whole interval on one side of the bar; the rules
were fixed before any result was looked at, and stand below, claim by claim{method}.
"""


def rules() -> dict[str, tuple[Rule, Mapping[str, str]]]:
    """Claim -> its rule, and verdict -> when it is given, in the order of the numbers of the claims."""
    found = {rule.claim: (rule, layers.VERDICTS) for rule in layers.RULES}
    for study in (growth, pruning):
        found |= {rule.claim: (rule, study.VERDICTS[rule.claim]) for rule in study.RULES}
    return {claim: found[claim] for claim in sorted(found, key=lambda claim: int(claim[1:]))}


def page(tables: Mapping[str, pd.DataFrame], homes: Mapping[str, str], method: str) -> str:
    """The page in MyST Markdown.

    `tables`: profile -> its claims, as in `claims.csv`; `homes`: profile -> path of its page from this one, without
    ending; `method`: path of the method's page, "" where there is none.
    """
    link = f" ([how, with formulas]({method}#7-claims))" if method else ""
    parts = [_INTRODUCTION.format(method=link), _raw(_legend() + _matrix(tables, homes))]
    for claim, (rule, verdicts) in rules().items():
        parts.append(_section(claim, rule, verdicts, tables))
    return "\n\n".join(parts) + "\n"


def _raw(text: str) -> str:
    return f"````{{raw}} html\n{text}\n````"


def _legend() -> str:
    shown = {**SIGNS, _NOT_TRIED: "–"}
    badges = (f'<span class="{_class(verdict)}"><b>{sign}</b> {verdict}</span>' for verdict, sign in shown.items())
    return f'<p class="verdicts">{" ".join(badges)}</p>'


def _matrix(tables: Mapping[str, pd.DataFrame], homes: Mapping[str, str]) -> str:
    heads = "".join(
        f'<th scope="col"><a href="{html.escape(homes[profile])}.html">{html.escape(profile)}</a>'
        f"<small>{html.escape(about(table))}</small></th>"
        for profile, table in tables.items()
    )
    rows = []
    for claim, (rule, _) in rules().items():
        cells = "".join(_cell(profile, _found(table, claim)) for profile, table in tables.items())
        said = f'<a href="#claim-{claim.lower()}">{claim}</a> {with_symbols(html.escape(rule.statement))}'
        rows.append(f'<tr><th scope="row">{said}</th>{cells}</tr>')
    return (
        '<div class="matrix" tabindex="0" role="region" aria-label="Claims by data sets"><table class="claims">'
        f'<thead><tr><th scope="col">claim</th>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def about(table: pd.DataFrame) -> str:
    """Data set and network of a profile, as the first of its claims has them."""
    return f"{table['data'].iloc[0]}, {table['network'].iloc[0]}"


def _found(table: pd.DataFrame, claim: str) -> pd.Series | None:
    rows = table[table["claim"] == claim]
    return None if rows.empty else rows.iloc[0]


def _cell(profile: str, found: pd.Series | None) -> str:
    of = html.escape(profile, quote=True)
    if found is None:
        return f'<td class="not-tried" data-profile="{of}"><b>–</b> <span>{_NOT_TRIED}</span></td>'
    return (
        f'<td class="{_class(found["verdict"])}" data-profile="{of}"><b>{SIGNS.get(found["verdict"], "?")} '
        f"{_number(found['value'])}</b> <span>{html.escape(found['verdict'])}</span> "
        f"<small>{_interval(found)}</small></td>"
    )


def _class(verdict: str) -> str:
    return verdict.replace(" ", "-") if verdict in (*SIGNS, _NOT_TRIED) else "undecided"


def _number(value: float, digits: int = 3) -> str:
    return "–" if math.isnan(value) else number(value, digits)


def _interval(found: pd.Series) -> str:
    if math.isnan(found["low"]) or math.isnan(found["high"]):
        return ""
    return f"[{_number(found['low'], 2)}, {_number(found['high'], 2)}]"


def _section(claim: str, rule: Rule, verdicts: Mapping[str, str], tables: Mapping[str, pd.DataFrame]) -> str:
    of_layers = "Kendall’s τ of layer and " if verdicts is layers.VERDICTS else ""
    lines = [
        f"(claim-{claim.lower()})=\n## {claim} · {markdown(rule.statement)}",
        f"- **Source**: {markdown(rule.source)}",
        f"- **Statistic**: {of_layers}{markdown(rule.quantity)}",
        f"- **Interval**: 95 %, over {markdown(rule.resampled)}",
        *(f"- **{sign} {verdict}**: {markdown(verdicts[verdict])}" for verdict, sign in SIGNS.items()),
    ]
    rows = []
    for profile, table in tables.items():
        if (found := _found(table, claim)) is not None:
            cells = (
                markdown(profile),
                f"{SIGNS.get(found['verdict'], '?')} {found['verdict']}",
                _number(found["value"]),
                _interval(found) or "–",
                _number(found["bar"]),
                _number(found["n"]),
                markdown(f"{found['data']}, {found['network']}"),
            )
            rows.append(f"| {' | '.join(cells)} |")
    if rows:
        head = "| profile | verdict | estimate | interval | bar | n | of |\n|---|---|---|---|---|---|---|\n"
        lines.append("\n" + head + "\n".join(rows))
    return f"{lines[0]}\n\n" + "\n".join(lines[1:])
