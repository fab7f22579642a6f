"""Rules of sites and jurisdictions, and the tree of body regions, as data: each rule with its source."""
