//! A whole search, and what it found, in words.

use crate::arena::Coverage;
use crate::bounds::Setup;
use crate::model::{Action, Muster, World};
use stateright::{Checker, Expectation, HasDiscoveries, Model, Path};
use std::fmt;
use std::time::{Duration, Instant};

/// What a search found.
#[derive(Clone, Debug)]
pub struct Report {
    /// True if every state within the bounds was visited, or something broken was found.
    pub is_complete: bool,
    /// Different states of the whole.
    pub states: usize,
    /// Steps between them.
    pub steps: usize,
    /// Steps from the start to the farthest state.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// What was tried.
    pub coverage: Coverage,
    /// Properties that do not hold, each with the way to the first state found that shows it.
    pub broken: Vec<(&'static str, Vec<String>)>,
    /// Ends that must be possible, and were reached.
    pub reached: Vec<&'static str>,
    /// Ends that no state showed: within narrow bounds some are out of reach.
    pub unreached: Vec<&'static str>,
}

/// Visits every state within the bounds, nearest first, or stops at the first that breaks a property. Gives up after
/// `at_most`.
pub fn search(setup: Setup, at_most: Duration) -> Report {
    let start = Instant::now();
    let checker =
        Muster::new(setup).checker().finish_when(HasDiscoveries::AnyFailures).timeout(at_most).spawn_bfs().join();
    let took = start.elapsed();
    let model = checker.model();
    let (mut broken, mut reached, mut unreached) = (Vec::new(), Vec::new(), Vec::new());
    for property in model.properties() {
        match (property.expectation, checker.discovery(property.name)) {
            (Expectation::Sometimes, Some(_)) => reached.push(property.name),
            (Expectation::Sometimes, None) => unreached.push(property.name),
            (_, Some(path)) => broken.push((property.name, trace(model, path, property.condition))),
            (_, None) => {}
        }
    }
    Report {
        is_complete: took < at_most && (checker.is_done() || !broken.is_empty()),
        states: checker.unique_state_count(),
        steps: checker.state_count(),
        depth: checker.max_depth(),
        took,
        coverage: model.coverage(),
        broken,
        reached,
        unreached,
    }
}

/// The way to the first state that breaks the property; what follows on the path to the state that was reported is left out.
fn trace(model: &Muster, path: Path<World, Action>, holds: fn(&Muster, &World) -> bool) -> Vec<String> {
    let mut lines = Vec::new();
    for (world, action) in path.into_vec() {
        match action {
            Some(action) if holds(model, &world) => lines.push(model.describe(&action)),
            _ => {
                lines.push(model.explain(&world));
                break;
            }
        }
    }
    lines
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Coverage { units, desks, packets, steps, forged, forged_refused, refused } = &self.coverage;
        let how = if self.is_complete { "complete" } else { "NOT COMPLETE" };
        let seconds = self.took.as_secs_f64();
        writeln!(f, "{how}: {} states, {} steps, depth {}, {seconds:.1} s", self.states, self.steps, self.depth)?;
        writeln!(f, "  machines: {units} states of an appliance, {desks} of a delivery, {steps} steps of appliances")?;
        writeln!(f, "  packets: {packets}; {forged} times a packet of the attacker's own was tried on an appliance")?;
        writeln!(f, "  the attacker's own refused: {forged_refused:?}; the console's refused: {refused:?}")?;
        for name in &self.reached {
            writeln!(f, "  reached: {name}")?;
        }
        for name in &self.unreached {
            writeln!(f, "  not reached: {name}")?;
        }
        for (name, trace) in &self.broken {
            writeln!(f, "BROKEN: {name}")?;
            for (number, line) in trace.iter().enumerate() {
                writeln!(f, "  {:3}. {line}", number + 1)?;
            }
        }
        Ok(())
    }
}
