"""The house's own word lists for finance headlines: what moves up or down, what is good or bad, how ratings rank."""

from __future__ import annotations

from typing import Final

from libs.core.types import stable_id

_VOWELS: Final = frozenset("aeiou")


def _forms(verb: str) -> tuple[str, ...]:
    """A regular verb with its -s, -ed and -ing; a doubled last consonant is written `stop*`."""
    double = verb.endswith("*")
    base = verb.rstrip("*")
    if base.endswith("e"):
        return base, base + "s", base + "d", base[:-1] + "ing"
    if base.endswith("y") and base[-2] not in _VOWELS:
        return base, base[:-1] + "ies", base[:-1] + "ied", base + "ing"
    stem = base + base[-1] if double else base
    plural = base + ("es" if base.endswith(("s", "sh", "ch", "x", "z")) else "s")
    return base, plural, stem + "ed", stem + "ing"


def listed(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


def _verbs(regular: str, irregular: str = "") -> frozenset[str]:
    return frozenset(form for verb in regular.split() for form in _forms(verb)) | frozenset(irregular.split())


UP: Final = _verbs(
    "gain climb jump surge soar rally increase rebound bounce rocket skyrocket accelerate recover strengthen "
    "appreciate double triple quadruple expand boost lift hike raise pop* spike leap heighten widen enlarge extend "
    "revive balloon multiply perk edge inch",
    "rise rises rose risen rising grow grows grew grown growing up higher upward upwards upside uptick upturn "
    "increasingly growth",
)
"""Movement upwards: good for profits and prices, bad for costs and losses."""

DOWN: Final = _verbs(
    "decline drop* tumble plunge slump plummet slide slip* sink dip* crash decrease weaken slow ease "
    "erode shrink* dive retreat tank crater skid* stumble slash trim* lower reduce collapse deteriorate depreciate "
    "dwindle lessen halve narrow diminish soften cool nosedive pare curb dump sag* crumble wane dent",
    "fall falls fell fallen falling down lower downward downwards downside downtick downturn cut cuts cutting "
    "sank sunk slid shrank shrunk dove loses lose losing lost less fewer slowdown selloff sell-off pullback",
)
"""Movement downwards: bad for profits and prices, good for costs and losses."""

LOOSE: Final = listed(
    "up down higher lower less fewer cut cuts cutting raise raises raised raising boost boosts boosted boosting lift "
    "lifts lifted lifting add expand expands expanded expanding extend extends extended extending double doubles "
    "doubling ease eases easing slow slows reduce reduces reduced reducing increase increases growth grow growing edge "
    "edges inch lose loses losing lost trim trims dump dumps dumping slide slides pop pops drop revive revives revived "
    "retreat tank wave soft cool cools narrow halve dent curb curbs"
)
"""Movements that mean little unless the thing that moves, or by how much, stands near."""

GOOD: Final = _verbs(
    "beat top* outperform upgrade outpace surpass exceed thrive flourish impress prosper clear crush",
    "beaten beats strong stronger strongest robust solid bullish optimistic optimism upbeat positive profitable "
    "profitability successful successfully outperformance excellent favorable favourable improvement improvements "
    "improved improves improving attractive record-high all-time buyback buybacks breakthrough boom booming "
    "overweight bull bulls impressive buoyant stellar blowout record hopes confident encouraging enthusiasm "
    "oversubscribed undervalued breakout approval warming tailwind tailwinds resilient resilience upswing",
) - frozenset(("top",))
"""What is good news by itself."""

MILD_GOOD: Final = listed(
    "improve success win wins winning won winner winners best better great nice gainer gainers rewarding benefit "
    "benefits opportunity opportunities efficient efficiency efficiencies savings synergies healthy milestone "
    "momentum confidence pleased satisfied competitive strengthening approve approves approved secure secures "
    "secured award awarded awards hope hopeful expands advances advanced leading well-positioned delighted "
    "innovative enhance enhances enhanced enhancing attract attracts strength strengths repurchase"
)
"""What often goes with good news."""

BAD: Final = _verbs(
    "miss disappoint downgrade underperform warn struggle suffer worsen delay halt suspend cancel recall sue default "
    "penalize penalise plead hurt* harm hamper dampen postpone underwhelm revoke dilute plague obliterate fade "
    "lay_off",
    "withdraws withdrew weak weaker weakest weakness bearish pessimistic pessimism negative disappointing "
    "disappointment unprofitable bankrupt bankruptcy insolvency lawsuit crisis recession turmoil warning warnings "
    "concern concerns fears trouble troubles headwind headwinds shortfall shortage shutdown shutdowns layoff layoffs "
    "redundancies penalty breach outage underweight plagued gloom gloomy bleak dismal sluggish slowing delist delisted "
    "delisting impairment impairments write-down writedown writedowns write-off setback setbacks overvalued "
    "turbulence panic contagion uncertainty laid pressured dilutive stagnation underperformance unfavorable "
    "unfavourable lay-offs rout meltdown bloodbath risk-off slowdown selloff sell-off pullback woes darker lowest low "
    "lows poor poorly slumping",
)
"""What is bad news by itself."""

MILD_BAD: Final = _verbs(
    "fail allege accuse reject block fine terminate resign abandon threaten fear worry restructure probe investigate "
    "scrap* withdraw disrupt violate weigh",
    "bad worse worst troubled lawsuits litigation fraud scandal strike strikes violation violations hack bear bears "
    "losers loser junk volatile casualty guilty illegal sanctions tariff tariffs unable difficult difficulties tough "
    "pressure pressures damage damages slippage dangerous dismissal dismissals",
)
"""What often goes with bad news."""

LOSSES: Final = listed(
    "loss losses cost costs expense expenses debt debts unemployment claims deficit deficits layoffs liabilities "
    "liability impairment charges bankruptcies defaults delays inflation volatility risk risks burden jobless "
    "provisions writedowns churn complaints outflows emissions foreclosures delinquencies deaths cases "
    "inventories stockpiles shortages shortage fears fear concerns worries concern uncertainty tensions tension "
    "tariffs taxes tax borrowing overheads spending capex headcount exposure leverage indebtedness"
)
"""Of which less is better: movement words near them are turned round."""

GAINS: Final = listed(
    "profit profits sales revenue revenues earnings eps income margin margins ebit ebitda ebita turnover demand "
    "orders order shares share stock stocks price prices target targets outlook guidance forecast forecasts "
    "estimate estimates dividend dividends rating growth output production volume volumes traffic subscribers users "
    "deliveries shipments futures index indexes indices market markets dow nasdaq s&p ftse dax equities bookings "
    "backlog cash flow cashflow confidence sentiment exports employment jobs payrolls gdp valuation market-cap "
    "premium stake capacity comps nikkei euro yield occupancy receipts"
)
"""Of which more is better."""

PEOPLE_CUT: Final = listed("jobs job staff employees workforce workers personnel positions headcount")
"""Cut, they are bad news about the company, though they count among the costs."""

NEGATIONS: Final = listed(
    "not no never without cannot can't won't isn't aren't wasn't weren't don't doesn't didn't hasn't haven't hadn't "
    "wouldn't couldn't shouldn't neither nor hardly barely unlikely fails fail failed failing lacks lack nothing "
    "refuses refused despite"
)
DOUBTS: Final = listed("could may might would if should whether can maybe perhaps possible possibly")
BACKGROUND: Final = listed("after despite amid following since although though while because before due as when even")
"""From these words on a headline tells why or in spite of what; what comes before them is the news."""

RATINGS: Final[dict[str, int]] = {
    **dict.fromkeys(("buy", "outperform", "overweight", "add", "accumulate", "conviction", "positive"), 1),
    **dict.fromkeys(("neutral", "hold", "equal-weight", "equalweight", "in-line", "perform", "equal", "weight"), 0),
    **dict.fromkeys(("sell", "underperform", "underweight", "reduce", "negative"), -1),
}
"""Analysts' ratings by rank."""

SCALES: Final[dict[str, float]] = {
    **dict.fromkeys(("k", "thousand", "thsd"), 1e3),
    **dict.fromkeys(("m", "mn", "mln", "million", "millions", "meur", "mm"), 1e6),
    **dict.fromkeys(("b", "bn", "bln", "billion", "billions"), 1e9),
    **dict.fromkeys(("t", "tn", "trln", "trillion"), 1e12),
    **dict.fromkeys(("crore", "cr"), 1e7),
    **dict.fromkeys(("lakh",), 1e5),
}
"""Words behind a number that multiply it."""

LEXICON: Final[dict[str, float]] = {
    **dict.fromkeys(MILD_BAD, -0.4),
    **dict.fromkeys(MILD_GOOD, 0.4),
    **dict.fromkeys(BAD, -1.0),
    **dict.fromkeys(GOOD, 1.0),
}
"""Words that are good (above zero) or bad news by themselves, and how surely."""


def identity() -> str:
    """A hash of every list: what was fitted on a reading holds for these words alone."""
    lists = (UP, DOWN, LOOSE, LOSSES, GAINS, PEOPLE_CUT, NEGATIONS, DOUBTS, BACKGROUND)
    tables = (LEXICON.items(), RATINGS.items(), SCALES.items())
    return stable_id(*("/".join(sorted(words)) for words in lists), *(sorted(table) for table in tables))
