"""The one stylesheet of all pages: light and dark, readable on a phone."""

from __future__ import annotations

import base64
import hashlib

STYLE = """
:root { color-scheme: light dark; --ink: #1d2330; --soft: #667085; --line: #e4e7ec; --back: #f7f8fa;
  --card: #fff; --bad: #b42318; --good: #067647; --bar: #f79009;
  --one: #2563c9; --two: #c2570c; --three: #0f766e; --four: #7c3aed; --five: #98a2b3 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #98a2b3; --line: #2b3240;
  --back: #12151b; --card: #1a1f28; --bad: #f97066; --good: #47cd89; --bar: #f79009;
  --one: #6ea8fe; --two: #fb923c; --three: #2dd4bf; --four: #c4a1ff; --five: #667085 } }
* { box-sizing: border-box } body { margin: 0; background: var(--back); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif } main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 64px }
h1 { font-size: 26px; margin: 0 0 4px; overflow-wrap: anywhere } h2 { font-size: 18px; margin: 36px 0 12px }
h3 { font-size: 15px; margin: 20px 0 6px; overflow-wrap: anywhere } p { margin: 0 0 8px; overflow-wrap: anywhere }
a { color: var(--one) } code { font: 13px/1.4 ui-monospace, monospace; overflow-wrap: anywhere }
.soft { color: var(--soft) } .bad { color: var(--bad) } .lead { font-size: 18px; margin: 12px 0 16px }
.cards { display: flex; flex-wrap: wrap; gap: 12px; margin: 20px 0 }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 18px; min-width: 130px }
.card b { display: block; font-size: 24px; font-variant-numeric: tabular-nums } .card span { color: var(--soft) }
.panel { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 18px; margin: 0 0 10px }
.panel > :first-child { margin-top: 0 } .panel > :last-child { margin-bottom: 0 } .panel .cards { margin: 4px 0 14px }
.panel table + p, .wide + p, .wide + .wide { margin-top: 10px } .panel .strip + div { margin: 8px 0 10px }
table { border-collapse: collapse; width: 100%; background: var(--card); border: 1px solid var(--line) }
th, td { text-align: left; padding: 6px 12px; border-bottom: 1px solid var(--line); vertical-align: top }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap } .wide { overflow-x: auto }
.panel table { border: 0 } .panel tr:last-child td { border-bottom: 0 } .panel td, .panel th { padding: 6px 16px 6px 0 }
li { margin: 4px 0 } details { margin-top: 8px } summary { color: var(--soft); cursor: pointer }
figure { margin: 0 } figcaption { margin: 0 0 6px } svg { display: block; overflow: visible }
.key { margin: 0 16px 0 0; color: var(--soft); display: inline-block } .key i { display: inline-block; width: 14px;
  height: 4px; border-radius: 2px; background: var(--hue); margin-right: 6px; vertical-align: middle }
.key i.block { height: 10px } .key i.dashes { background: linear-gradient(90deg, var(--hue) 60%, transparent 0) 0 / 7px }
.one { --hue: var(--one) } .two { --hue: var(--two) } .three { --hue: var(--three) } .four { --hue: var(--four) }
.five { --hue: var(--five) }
.plot text { fill: var(--soft); font: 12px system-ui, sans-serif; font-variant-numeric: tabular-nums }
.plot .grid { stroke: var(--line) } .plot .curve { fill: none; stroke: var(--hue); stroke-width: 2; stroke-linejoin: round }
.plot .dashed { stroke-dasharray: 5 4; stroke-width: 1.5 } .plot .band { fill: var(--hue); opacity: .14 }
.plot .dot { fill: var(--hue) } .plot .hover { fill: transparent } .plot .whisker { stroke: var(--hue); stroke-width: 1.5 }
.strip { height: 10px } .strip .track { fill: var(--line) } .strip .part { fill: var(--hue) }
.strip .interval { stroke: var(--ink); stroke-width: 1.5 } .strip + .strip { margin-top: 10px }
.bars td { overflow-wrap: anywhere } td.strips { width: 45%; vertical-align: middle } .panel td.figures { white-space: nowrap;
  color: var(--soft); line-height: 20px; vertical-align: middle; padding-right: 0; font-variant-numeric: tabular-nums }
@media (max-width: 560px) { main { padding: 20px 12px 48px } .card { padding: 8px 12px; min-width: 0; flex: 1 1 28% }
  .card b { font-size: 19px } .panel { padding: 12px }
  .bars tr { display: grid; grid-template-columns: 1fr auto; border-bottom: 1px solid var(--line); padding: 4px 0 }
  .bars td { border: 0; padding: 2px 12px 2px 0 } .bars td:first-child { grid-column: 1 / -1 }
  td.strips { width: auto; align-self: center } }
"""


def style_source() -> str:
    """What a Content-Security-Policy's `style-src` has to name so that a browser applies STYLE and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
