//! The execution graph: every operation of an apply and every ordering between them, decided at plan time.

use petgraph::graph::{DiGraph, NodeIndex};
use serde::{Deserialize, Serialize};

/// One operation. `change` is an index into the plan's changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Does nothing; orders what comes before it against what comes after it, so that many-to-many orderings cost
    /// the sum of both sides and not their product.
    Join,
    /// Reads a data source.
    Read {
        change: usize,
    },
    Create {
        change: usize,
    },
    Update {
        change: usize,
    },
    /// Sets the current object aside before its replacement is created.
    Depose {
        change: usize,
    },
    /// Deletes the current object (or the deposed one that the change names).
    Delete {
        change: usize,
    },
    /// Deletes what this apply's `Depose` set aside.
    DeleteDeposed {
        change: usize,
    },
    Forget {
        change: usize,
    },
    /// Opens one of the plan's ephemeral resources.
    Open {
        ephemeral: usize,
    },
    /// Gives it back, once everything that uses it is done.
    Close {
        ephemeral: usize,
    },
}

impl Op {
    pub fn ephemeral(self) -> Option<usize> {
        match self {
            Op::Open { ephemeral } | Op::Close { ephemeral } => Some(ephemeral),
            _ => None,
        }
    }

    pub fn change(self) -> Option<usize> {
        match self {
            Op::Join | Op::Open { .. } | Op::Close { .. } => None,
            Op::Read { change }
            | Op::Create { change }
            | Op::Update { change }
            | Op::Depose { change }
            | Op::Delete { change }
            | Op::DeleteDeposed { change }
            | Op::Forget { change } => Some(change),
        }
    }
}

/// Operations, and edges from what comes first to what comes after.
#[derive(Clone, Debug, Default)]
pub struct ExecutionGraph {
    graph: DiGraph<Op, ()>,
}

/// An operation in a graph.
pub type OpId = NodeIndex;

impl ExecutionGraph {
    pub fn add(&mut self, op: Op) -> OpId {
        self.graph.add_node(op)
    }

    /// `first` must have finished before `then` starts.
    pub fn order(&mut self, first: OpId, then: OpId) {
        if first != then {
            self.graph.add_edge(first, then, ());
        }
    }

    pub fn op(&self, id: OpId) -> Op {
        self.graph.node_weight(id).copied().unwrap_or(Op::Join)
    }

    pub fn len(&self) -> usize {
        self.graph.node_count()
    }

    pub fn is_empty(&self) -> bool {
        self.graph.node_count() == 0
    }

    pub fn ids(&self) -> impl Iterator<Item = OpId> + use<> {
        self.graph.node_indices()
    }

    pub fn successors(&self, id: OpId) -> impl Iterator<Item = OpId> + '_ {
        self.graph
            .neighbors_directed(id, petgraph::Direction::Outgoing)
    }

    pub fn predecessors(&self, id: OpId) -> impl Iterator<Item = OpId> + '_ {
        self.graph
            .neighbors_directed(id, petgraph::Direction::Incoming)
    }

    /// The operations of one cycle, when there is one: then the plan cannot be executed.
    pub fn cycle(&self) -> Option<Vec<Op>> {
        petgraph::algo::tarjan_scc(&self.graph)
            .into_iter()
            .find(|component| component.len() > 1)
            .map(|component| component.into_iter().map(|id| self.op(id)).collect())
    }

    /// For each operation the length of the longest chain behind it: what should start first.
    pub fn ranks(&self) -> Vec<u32> {
        let mut ranks = vec![0; self.len()];
        if let Ok(order) = petgraph::algo::toposort(&self.graph, None) {
            for id in order.into_iter().rev() {
                let own = u32::from(self.op(id) != Op::Join);
                let behind = self
                    .successors(id)
                    .filter_map(|s| ranks.get(s.index()).copied())
                    .max()
                    .unwrap_or(0);
                if let Some(rank) = ranks.get_mut(id.index()) {
                    *rank = own + behind;
                }
            }
        }
        ranks
    }
}

/// A graph in a plan file: operations in order, edges by position.
#[derive(Serialize, Deserialize)]
struct Saved {
    ops: Vec<Op>,
    edges: Vec<(u32, u32)>,
}

impl Serialize for ExecutionGraph {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let index = |id: NodeIndex| id.index() as u32;
        Saved {
            ops: self.ids().map(|id| self.op(id)).collect(),
            edges: self
                .graph
                .edge_indices()
                .filter_map(|e| self.graph.edge_endpoints(e))
                .map(|(a, b)| (index(a), index(b)))
                .collect(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ExecutionGraph {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let saved = Saved::deserialize(deserializer)?;
        let mut graph = ExecutionGraph::default();
        for op in saved.ops {
            graph.add(op);
        }
        for (a, b) in saved.edges {
            if a as usize >= graph.len() || b as usize >= graph.len() {
                return Err(serde::de::Error::custom(
                    "an edge leads to an operation that is not there",
                ));
            }
            graph.order(NodeIndex::new(a as usize), NodeIndex::new(b as usize));
        }
        Ok(graph)
    }
}
