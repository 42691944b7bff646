//! Arrows between named things, and the circles in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Who depends on whom.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) arrows: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    pub(crate) fn node(&mut self, name: &str) {
        self.arrows.entry(name.to_owned()).or_default();
    }

    pub(crate) fn arrow(&mut self, from: &str, to: &str) {
        self.node(to);
        let arrows = self.arrows.entry(from.to_owned()).or_default();
        if from != to {
            arrows.insert(to.to_owned());
        }
    }

    /// All that can be reached from `name`.
    fn reach(&self, name: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut open = vec![name];
        while let Some(name) = open.pop() {
            for next in &self.arrows[name] {
                if found.insert(next.as_str()) {
                    open.push(next);
                }
            }
        }
        found
    }

    /// The sets of more than one whose members all reach each other.
    pub(crate) fn circles(&self) -> BTreeSet<Vec<&str>> {
        let reach: BTreeMap<&str, BTreeSet<&str>> = self
            .arrows
            .keys()
            .map(|name| (name.as_str(), self.reach(name)))
            .collect();
        let circle = |name: &&str| -> Vec<&str> {
            let back = |other: &&&str| reach[*other].contains(name);
            reach[name].iter().filter(back).copied().collect()
        };
        reach.keys().map(circle).filter(|c| c.len() > 1).collect()
    }
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (from, to) in &self.arrows {
            writeln!(f, "  {from} -> {to:?}")?;
        }
        Ok(())
    }
}

#[test]
fn circles_are_found() {
    let mut graph = Graph::default();
    for (from, to) in [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d"), ("d", "d")] {
        graph.arrow(from, to);
    }
    assert_eq!(graph.circles(), BTreeSet::from([vec!["b", "c"]]));
}
