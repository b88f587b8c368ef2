// The hazards that a decode under way meets, and what closes each. A test of each takes its remedy out and sees it fail.
//
//   H1  a server dies after applying a push, before its parity has it     sync: the push is answered after its parity
//   H2  it dies after its parity has it, before the worker's answer       tags: a push said again counts once
//   H3  a difference is in flight while a mate of its row is decoded      versions: decode only what fits
//   H4  r >= 2, and one parity has the difference, another not            versions: both are brought to the same
//   H5  a parity row is encoded anew while its data rows change           holding: differences wait for the row
//   H6  values and optimizer state come apart                             one message, one version for both
//   H7  a difference arrives twice                                        versions: added once
//
// Source: the names are ours; the hazards are those of asynchronous erasure-coded training (ECRM, ECRec).

export type Remedy = 'versions' | 'tags' | 'holding'
