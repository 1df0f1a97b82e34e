"""Claims of papers, fixed beforehand, the studies that test them, and what paired seeds say.

This package imports nothing by itself, so that listing the papers stays quick: take `Paper` from `claims.paper`,
`Claim` and `judge` from `claims.verdict`, `Study` from `claims.study`.
"""
