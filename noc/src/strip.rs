//! What arrived of an appliance's beats and what did not, in cells of equal length; pure.

use crate::availability::{Absences, Span, Tally, tally};
use serde::Serialize;
use utoipa::ToSchema;

/// What a cell is shown as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CellState {
    /// Beats came as they should.
    Arrived,
    /// Some did not come.
    MissedSome,
    /// None came for most of it.
    MissedAll,
    /// It was worked on.
    Maintenance,
    /// The NOC itself was not there.
    NocAway,
    /// Nothing was expected.
    NotExpected,
}

/// A stretch of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Cell {
    /// When it begins, Unix seconds.
    pub(crate) start: u64,
    /// What it is shown as.
    pub(crate) state: CellState,
    /// Beats that are of this time, whenever they came.
    pub(crate) beats: u32,
    /// About how many there should be, at the present interval.
    pub(crate) expected: u32,
    /// Seconds for which it was silent.
    pub(crate) silent_s: u64,
    /// Seconds for which it was worked on.
    pub(crate) maintenance_s: u64,
    /// Seconds for which the NOC itself was away while it was expected.
    pub(crate) noc_away_s: u64,
}

/// Cells that follow each other, the last of which is of now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Cells {
    /// Seconds of one.
    pub(crate) cell_s: u64,
    /// Oldest first.
    pub(crate) cells: Vec<Cell>,
}

/// What is known of an appliance's beats.
pub(crate) struct Known<'a> {
    pub(crate) now: u64,
    pub(crate) interval_s: u32,
    pub(crate) spans: &'a [Span],
    pub(crate) absences: &'a Absences,
}

/// When the first of so many cells begins, of which the last is of now.
pub(crate) fn first(now: u64, cell_s: u64, count: u64) -> u64 {
    (now / cell_s + 1).saturating_sub(count) * cell_s
}

/// So many cells; `beats`: how many there were, by the beginnings of shorter stretches, in order.
pub(crate) fn cells(known: &Known<'_>, cell_s: u64, count: u64, beats: &[(u64, u64)]) -> Cells {
    let first = first(known.now, cell_s, count);
    let mut left = beats;
    let cells = (0..count).map(|n| {
        let (start, end) = (first + n * cell_s, first + (n + 1) * cell_s);
        let within = left.partition_point(|(at, _)| *at < end);
        let (here, later) = left.split_at(within);
        left = later;
        let beats = here.iter().filter(|(at, _)| *at >= start).map(|(_, beats)| beats).sum::<u64>();
        let tally = tally(known.spans, known.absences, start, end.min(known.now));
        cell(start, u32::try_from(beats).unwrap_or(u32::MAX), known.interval_s, &tally)
    });
    Cells { cell_s, cells: cells.collect() }
}

fn cell(start: u64, beats: u32, interval_s: u32, tally: &Tally) -> Cell {
    let counted = tally.available_s + tally.silent_s;
    let expected = u32::try_from(counted / u64::from(interval_s.max(1))).unwrap_or(u32::MAX);
    Cell {
        start,
        state: state(beats, expected, counted, tally),
        beats,
        expected,
        silent_s: tally.silent_s,
        maintenance_s: tally.maintenance_s,
        noc_away_s: tally.noc_away_s,
    }
}

fn state(beats: u32, expected: u32, counted: u64, tally: &Tally) -> CellState {
    let Tally { silent_s, maintenance_s, noc_away_s, .. } = *tally;
    // Most of it was something else than service. What was silent for the rest is not hidden.
    if silent_s == 0 && counted < maintenance_s.max(noc_away_s) {
        return if maintenance_s >= noc_away_s { CellState::Maintenance } else { CellState::NocAway };
    }
    if counted == 0 {
        return match (beats, maintenance_s, noc_away_s) {
            // Of before the NOC wrote down how appliances stand.
            (1.., _, _) => CellState::Arrived,
            (_, 0, 0) => CellState::NotExpected,
            (_, _, 0) => CellState::Maintenance,
            _ => CellState::NocAway,
        };
    }
    // Each beat comes up to a tenth of the interval earlier or later, and one may fall into the cell beside.
    let is_enough = beats.saturating_add(1).saturating_add(expected / 10) >= expected;
    match silent_s {
        0 if is_enough => CellState::Arrived,
        _ if beats == 0 || silent_s * 2 >= counted => CellState::MissedAll,
        _ => CellState::MissedSome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::availability::Standing;

    #[test]
    fn each_cell_says_what_came_and_why_the_rest_did_not() {
        let span = |since, until, standing| Span { since, until, standing };
        let spans = [
            span(1_000, 3_000, Standing::InService),
            span(3_000, 3_500, Standing::Silent),
            span(3_500, 4_000, Standing::InService),
            span(4_000, 5_000, Standing::Maintenance),
            span(5_000, u64::MAX, Standing::InService),
        ];
        let absences = Absences::new(vec![(6_000, 7_000)]);
        let known = Known { now: 9_499, interval_s: 60, spans: &spans, absences: &absences };
        // Stretches of 100 seconds, each cell of ten.
        let beats: Vec<(u64, u64)> = (0..95)
            .map(|n| n * 100)
            .filter(|at| !(3_000..3_500).contains(at) && !(6_000..7_000).contains(at))
            .filter(|at| (1_000..8_000).contains(at) || (8_000..8_400).contains(at))
            .map(|at| (at, 2))
            .collect();
        let found = cells(&known, 1_000, 10, &beats);
        assert_eq!((found.cells.len(), found.cells[0].start, found.cell_s), (10, 0, 1_000));
        use CellState::{Arrived, Maintenance, MissedAll, MissedSome, NocAway, NotExpected};
        let states: Vec<CellState> = found.cells.iter().map(|cell| cell.state).collect();
        // The last is half over, and nothing came in it though nobody says that it is silent.
        let expected =
            [NotExpected, Arrived, Arrived, MissedAll, Maintenance, Arrived, NocAway, Arrived, MissedSome, MissedAll];
        assert_eq!(states, expected);
        let at = |n: usize| &found.cells[n];
        assert_eq!((at(3).silent_s, at(3).beats, at(3).expected), (500, 10, 16));
        assert_eq!((at(4).maintenance_s, at(4).expected, at(6).noc_away_s), (1_000, 0, 1_000));
        assert_eq!((at(9).expected, at(9).beats), (8, 0));
    }

    #[test]
    fn a_long_interval_misses_nothing_between_its_beats_and_old_beats_count() {
        let spans = [Span { since: 0, until: u64::MAX, standing: Standing::InService }];
        let nobody = Absences::default();
        let daily = Known { now: 20_000, interval_s: 86_400, spans: &spans, absences: &nobody };
        assert!(cells(&daily, 900, 10, &[]).cells.iter().all(|cell| cell.state == CellState::Arrived));
        let before = Known { now: 20_000, interval_s: 60, spans: &[], absences: &nobody };
        let found = cells(&before, 900, 2, &[(19_000, 7)]).cells;
        assert_eq!((found[0].state, found[0].beats), (CellState::Arrived, 7));
        assert_eq!(found[1].state, CellState::NotExpected);
        // A clock that says the beginning of time.
        assert_eq!(cells(&Known { now: 5, ..before }, 900, 10, &[]).cells.len(), 10);
    }
}
