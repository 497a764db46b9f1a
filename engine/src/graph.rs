//! The execution graph: every operation of an apply and every ordering between them, decided at plan time.

use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef as _;
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
    /// Stands behind a step of one of the plan's rollouts: pauses, and sees whether all is well.
    Gate {
        rollout: usize,
        step: usize,
    },
}

impl Op {
    pub fn ephemeral(self) -> Option<usize> {
        match self {
            Op::Open { ephemeral } | Op::Close { ephemeral } => Some(ephemeral),
            _ => None,
        }
    }

    pub fn rollout(self) -> Option<usize> {
        match self {
            Op::Gate { rollout, .. } => Some(rollout),
            _ => None,
        }
    }

    pub fn change(self) -> Option<usize> {
        match self {
            Op::Join | Op::Open { .. } | Op::Close { .. } | Op::Gate { .. } => None,
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

/// What an operation wants of one that comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// That it succeeds: otherwise the operation is skipped.
    Needs,
    /// That it is over, however it ended.
    Follows,
}

/// Operations, and edges from what comes first to what comes after.
#[derive(Clone, Debug, Default)]
pub struct ExecutionGraph {
    graph: DiGraph<Op, Order>,
}

/// An operation in a graph.
pub type OpId = NodeIndex;

impl ExecutionGraph {
    pub fn add(&mut self, op: Op) -> OpId {
        self.graph.add_node(op)
    }

    /// `first` must have succeeded before `then` starts.
    pub fn order(&mut self, first: OpId, then: OpId) {
        self.order_by(first, then, Order::Needs);
    }

    pub fn order_by(&mut self, first: OpId, then: OpId, order: Order) {
        if first != then {
            self.graph.add_edge(first, then, order);
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

    /// What comes after an operation, and what it wants of that.
    pub fn followers(&self, id: OpId) -> impl Iterator<Item = (OpId, Order)> + '_ {
        let edges = self.graph.edges_directed(id, petgraph::Direction::Outgoing);
        edges.map(|edge| (edge.target(), *edge.weight()))
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
    /// Edges whose later operation follows however the earlier one ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    follows: Vec<(u32, u32)>,
}

impl Serialize for ExecutionGraph {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let index = |id: NodeIndex| id.index() as u32;
        let edges = |of: Order| {
            let edges = self.graph.edge_references();
            let edges = edges.filter(move |edge| *edge.weight() == of);
            edges.map(move |edge| (index(edge.source()), index(edge.target())))
        };
        Saved {
            ops: self.ids().map(|id| self.op(id)).collect(),
            edges: edges(Order::Needs).collect(),
            follows: edges(Order::Follows).collect(),
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
        let needs = saved.edges.into_iter().map(|edge| (edge, Order::Needs));
        let follows = saved.follows.into_iter().map(|edge| (edge, Order::Follows));
        for ((a, b), order) in needs.chain(follows) {
            if a as usize >= graph.len() || b as usize >= graph.len() {
                return Err(serde::de::Error::custom(
                    "an edge leads to an operation that is not there",
                ));
            }
            graph.order_by(
                NodeIndex::new(a as usize),
                NodeIndex::new(b as usize),
                order,
            );
        }
        Ok(graph)
    }
}
