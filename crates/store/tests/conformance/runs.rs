use std::time::Duration;

use bytes::Bytes;
use postrider_domain::delivery::AttemptClass;
use postrider_domain::id::{EventId, RequestId, RunId, TenantId, TriggerId, WorkflowId};
use postrider_domain::limits;
use postrider_domain::random::Random;
use postrider_domain::run::{RequestCause, RunState, StepStatus, TriggerKind};
use postrider_domain::time::Timestamp;
use postrider_store::runs::{
    Conflict, Dedup, Hold, Intake, IntakeOutcome, NewRequest, NewRun, RequestFilter, RunClaimAnswer,
    RunFilter, RunRow, RunTo, RunWant, RunWrite, RunsReaped, Slot, StepRow, WaitRow,
};
use postrider_store::{AttemptRow, Commit, CommitOutcome, Lease, Store, StoreError};

use crate::world::{DAY, LEASE, SECOND, World, attempt};

const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// A workflow of a tenant.
#[derive(Clone, Copy)]
pub(crate) struct Flow<'w> {
    world: &'w World,
    pub(crate) tenant: TenantId,
    pub(crate) workflow: WorkflowId,
    pub(crate) trigger: TriggerId,
}

impl<'w> Flow<'w> {
    pub(crate) fn new(world: &'w World) -> Self {
        Self {
            world,
            tenant: world.tenant(),
            workflow: WorkflowId::new(world.now(), &*world.random),
            trigger: TriggerId::new(world.now(), &*world.random),
        }
    }

    pub(crate) fn run(&self) -> NewRun {
        NewRun {
            id: RunId::new(self.world.now(), &*self.world.random),
            workflow: self.workflow,
            version: 3,
            trigger: Some(self.trigger),
            kind: TriggerKind::Webhook,
            event: None,
            replay_of: None,
            parent: None,
            input: Bytes::from_static(b"{\"n\":1}"),
            depth: 2,
            slot: None,
            claim: None,
            ended: false,
            error: None,
            steps: Vec::new(),
        }
    }

    fn claimed(&self) -> NewRun {
        NewRun { claim: Some(self.world.lease()), ..self.run() }
    }

    fn slotted(&self, max: u32, conflict: Conflict) -> NewRun {
        NewRun { slot: Some(Slot { key: "k".into(), max, conflict }), ..self.claimed() }
    }

    pub(crate) fn intake(&self, run: Option<NewRun>) -> Intake {
        Intake { tenant: self.tenant, with_event: None, request: None, run, dedup: None, tick: None }
    }

    pub(crate) fn dedup(&self, key: &str) -> Option<Dedup> {
        Some(Dedup { trigger: self.trigger, key: key.to_owned(), kept: limits::DEDUP_KEPT })
    }

    fn request(&self, cause: RequestCause) -> NewRequest {
        NewRequest {
            id: RequestId::new(self.world.now(), &*self.world.random),
            trigger: self.trigger,
            cause,
            status: 202,
            detail: (cause != RequestCause::Accepted).then(|| "why".into()),
            received: self.world.now(),
            method: "POST".into(),
            query: "a=b".into(),
            peer: "192.0.2.7".into(),
            headers: Bytes::from_static(b"[[\"a\",\"b\\u0000\"]]"),
            body: (cause != RequestCause::Accepted).then(|| Bytes::from_static(b"no json \0\xff")),
            body_bytes: 7,
        }
    }

    async fn take(&self, intake: Intake) -> IntakeOutcome {
        take(&self.world.store(), Commit { intakes: vec![intake], ..self.world.commit(self.tenant) }).await
    }

    /// Makes a run and says which.
    async fn start(&self, run: NewRun) -> RunId {
        let id = run.id;
        match self.take(self.intake(Some(run))).await {
            IntakeOutcome::Started { run, .. } if run == id => run,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn write(&self, run: RunId, hold: Hold, to: RunTo) -> RunWrite {
        RunWrite {
            tenant: self.tenant,
            run,
            workflow: self.workflow,
            hold,
            slot: None,
            parent: None,
            steps: Vec::new(),
            unless_emitted: None,
            attempts: Vec::new(),
            to,
        }
    }

    async fn try_write(&self, write: RunWrite) -> Result<(), StoreError> {
        let commit = Commit { runs: vec![write], ..self.world.commit(self.tenant) };
        self.world.try_commit(commit).await.map(drop)
    }

    async fn written(&self, write: RunWrite) {
        self.try_write(write).await.expect("it is in these hands");
    }

    /// Ends a run of the slot `k`.
    async fn end_slotted(&self, run: RunId, hold: Hold, state: RunState) {
        let to = RunTo::Ended { state, output: None, error: None };
        self.written(RunWrite { slot: Some("k".into()), ..self.write(run, hold, to) }).await;
    }

    async fn get(&self, run: RunId) -> RunRow {
        self.world.store().run_get(self.tenant, run).await.unwrap().expect("the run is there")
    }

    async fn state(&self, run: RunId) -> RunState {
        self.get(run).await.state
    }

    async fn claim(&self, count: u32) -> RunClaimAnswer {
        let want = RunWant { tenant: self.tenant, workflow: self.workflow, count };
        let until = self.world.now().plus(LEASE);
        let mut answers = self.world.store().run_claim(self.world.now(), until, vec![want]).await.unwrap();
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }

    /// Everything that a write could have changed of a run.
    async fn picture(&self, run: RunId) -> String {
        let store = self.world.store();
        format!(
            "{:?} {:?} {:?} {:?} {:?}",
            self.get(run).await,
            store.run_steps(self.tenant, run).await.unwrap(),
            store.run_attempts(self.tenant, run).await.unwrap(),
            store.run_output(self.tenant, run).await.unwrap(),
            store.run_waits(Some(self.tenant)).await.unwrap(),
        )
    }

    async fn request_count(&self) -> usize {
        self.world.store().requests(self.tenant, RequestFilter::default(), 10_000).await.unwrap().len()
    }
}

pub(crate) async fn take(store: &Store, commit: Commit) -> IntakeOutcome {
    match store.commit_enqueue(commit).unwrap().await.unwrap().expect("the commit is good") {
        CommitOutcome::Done { intakes, .. } => intakes[0],
        other => panic!("{other:?}"),
    }
}

pub(crate) fn step(path: &str, seq: i64, status: StepStatus, now: Timestamp) -> StepRow {
    StepRow {
        path: path.into(),
        seq,
        kind: "http".into(),
        status,
        tries: 1,
        started: now,
        finished: (status != StepStatus::Pending).then_some(now),
        until: None,
        link: None,
        output: (status == StepStatus::Succeeded).then(|| Bytes::from_static(b"{\"a\":\"\\u0000\"}")),
        error: (status == StepStatus::Failed).then(|| "It did not work.".into()),
    }
}

fn running(until: Timestamp) -> RunTo {
    RunTo::Running { lease: until }
}

fn waiting(due: Option<Timestamp>) -> RunTo {
    RunTo::Waiting { due, event_after: None }
}

fn ended(state: RunState) -> RunTo {
    let error = (state == RunState::Failed).then(|| "It failed.".to_owned());
    RunTo::Ended { state, output: Some(Bytes::from_static(b"[1.50]")), error }
}

const FINAL: [RunState; 3] = [RunState::Succeeded, RunState::Failed, RunState::Cancelled];

fn moved<T: std::fmt::Debug>(result: Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Moved(_))), "{result:?}");
}

/// Steps and attempts as a run's worker reads them again.
fn attempted(number: u32, now: Timestamp) -> AttemptRow {
    AttemptRow {
        timing: postrider_store::AttemptTiming { total_us: 20_000, ..Default::default() },
        body_sha256: None,
        request_bytes: 0,
        ..attempt(number, now, AttemptClass::Status)
    }
}

pub(crate) async fn a_run_begins_with_what_it_was_given(world: &World) {
    let flow = Flow::new(world);
    let kept = vec![step("a", 0, StepStatus::Succeeded, world.now())];
    let (claimed, due) = (flow.claimed(), NewRun { steps: kept.clone(), ..flow.run() });
    let ended = NewRun { ended: true, ..flow.claimed() };
    let failed = NewRun { error: Some("No such input.".into()), ..flow.claimed() };
    let now = world.now();
    for (run, state, fence, due) in [
        (claimed, RunState::Running, 1, None),
        (due, RunState::Queued, 0, Some(now)),
        (ended, RunState::Succeeded, 0, None),
        (failed, RunState::Failed, 0, None),
    ] {
        let request = flow.request(RequestCause::Accepted);
        let intake = Intake { request: Some(request.clone()), ..flow.intake(Some(run.clone())) };
        let outcome = flow.take(intake).await;
        assert_eq!(outcome, IntakeOutcome::Started { run: run.id, claimed: state == RunState::Running });
        let row = flow.get(run.id).await;
        let expected = RunRow {
            tenant: flow.tenant,
            id: run.id,
            workflow: flow.workflow,
            version: 3,
            trigger: Some(flow.trigger),
            kind: TriggerKind::Webhook,
            request: Some(request.id),
            event: None,
            replay_of: None,
            parent: None,
            state,
            depth: 2,
            slot: None,
            fence,
            due,
            error: run.error.clone(),
            created: now,
            started: (state != RunState::Queued).then_some(now),
            finished: state.is_final().then_some(now),
        };
        assert_eq!(row, expected);
        let store = world.store();
        assert_eq!(store.run_input(flow.tenant, run.id).await.unwrap(), Some(run.input));
        assert_eq!(store.run_steps(flow.tenant, run.id).await.unwrap(), run.steps);
        assert_eq!(store.run_output(flow.tenant, run.id).await.unwrap(), None);
        let stored = store.request_get(flow.tenant, request.id).await.unwrap().unwrap();
        assert_eq!((stored.run, stored.request), (Some(run.id), request));
    }
}

pub(crate) async fn the_same_key_starts_one_run_until_it_is_forgotten(world: &World) {
    let (flow, other) = (Flow::new(world), Flow::new(world));
    let first = flow.run();
    let of = |flow: Flow<'_>, run: &NewRun, key: &str| Intake {
        dedup: flow.dedup(key),
        request: Some(flow.request(RequestCause::Accepted)),
        ..flow.intake(Some(run.clone()))
    };
    let started = |run: &NewRun| IntakeOutcome::Started { run: run.id, claimed: false };
    assert_eq!(flow.take(of(flow, &first, "a")).await, started(&first));
    world.pass(SECOND);
    let (again, elsewhere, foreign) = (flow.run(), flow.run(), other.run());
    let request = flow.request(RequestCause::Accepted);
    let repeated = Intake { request: Some(request.clone()), ..of(flow, &again, "a") };
    assert_eq!(flow.take(repeated).await, IntakeOutcome::Duplicate(first.id));
    assert_eq!(world.store().run_get(flow.tenant, again.id).await.unwrap(), None);
    // What came is in the history, with the run that it belongs to and its own body.
    let stored = world.store().request_get(flow.tenant, request.id).await.unwrap().unwrap();
    assert_eq!((stored.run, stored.request.cause), (Some(first.id), RequestCause::Duplicate));
    assert_eq!(stored.request.body, Some(again.input.clone()));
    assert_eq!(flow.take(of(flow, &elsewhere, "b")).await, started(&elsewhere));
    assert_eq!(other.take(of(other, &foreign, "a")).await, started(&foreign));
    // A repetition does not make it last longer.
    world.pass(limits::DEDUP_KEPT - SECOND - Duration::from_millis(1));
    let late = flow.run();
    assert_eq!(flow.take(of(flow, &late, "a")).await, IntakeOutcome::Duplicate(first.id));
    world.pass(Duration::from_millis(1));
    let new = flow.run();
    assert_eq!(flow.take(of(flow, &new, "a")).await, started(&new));
    assert_eq!(flow.take(of(flow, &flow.run(), "a")).await, IntakeOutcome::Duplicate(new.id));
}

pub(crate) async fn many_with_one_key_in_one_moment_start_one_run(world: &World) {
    let flow = Flow::new(world);
    let commits = (0..200).map(|_| {
        let intake = Intake { dedup: flow.dedup("k"), ..flow.intake(Some(flow.run())) };
        let answer = world
            .store()
            .commit_enqueue(Commit { intakes: vec![intake], ..world.commit(flow.tenant) })
            .unwrap();
        async move { answer.await.unwrap().unwrap() }
    });
    let mut of: Vec<RunId> = Vec::new();
    let mut started = 0;
    for outcome in commits.collect::<Vec<_>>() {
        let CommitOutcome::Done { intakes, .. } = outcome.await else {
            panic!("no idempotency key was given")
        };
        match intakes[0] {
            IntakeOutcome::Started { run, .. } => (started, of) = (started + 1, [of, vec![run]].concat()),
            IntakeOutcome::Duplicate(run) => of.push(run),
            other => panic!("{other:?}"),
        }
    }
    of.dedup();
    assert_eq!((started, of.len()), (1, 1));
    assert_eq!(world.store().runs(flow.tenant, RunFilter::default(), 10).await.unwrap().len(), 1);
}

pub(crate) async fn a_request_that_starts_nothing_is_written_down(world: &World) {
    let flow = Flow::new(world);
    for cause in RequestCause::ALL.into_iter().filter(|cause| *cause != RequestCause::Accepted) {
        let request = flow.request(cause);
        let intake = Intake { request: Some(request.clone()), ..flow.intake(None) };
        assert_eq!(flow.take(intake).await, IntakeOutcome::Recorded);
        let stored = world.store().request_get(flow.tenant, request.id).await.unwrap().unwrap();
        assert_eq!((stored.tenant, stored.run, stored.request), (flow.tenant, None, request.clone()));
        assert_eq!(world.store().request_get(world.tenant(), request.id).await.unwrap(), None);
        let filter = RequestFilter { cause: Some(cause), ..RequestFilter::default() };
        let listed = world.store().requests(flow.tenant, filter, 10).await.unwrap();
        assert_eq!(listed.iter().map(|row| row.request.id).collect::<Vec<_>>(), [request.id]);
        assert_eq!(listed[0].request.body, None, "a list is without bodies");
    }
}

pub(crate) async fn a_moment_of_a_clock_is_decided_once(world: &World) {
    let flow = Flow::new(world);
    let at = |seconds: u64| world.now().plus(Duration::from_secs(seconds));
    let tick = |moment| Intake { tick: Some((flow.trigger, moment)), ..flow.intake(Some(flow.run())) };
    assert_eq!(world.store().trigger_clock(flow.tenant, flow.trigger).await.unwrap(), None);
    let mut made = 0;
    for (moment, taken) in [(10, false), (10, true), (9, true), (11, false), (10, true), (500, false)] {
        let outcome = flow.take(tick(at(moment))).await;
        assert_eq!(outcome == IntakeOutcome::Taken, taken, "{moment}");
        made += usize::from(!taken);
    }
    assert_eq!(world.store().trigger_clock(flow.tenant, flow.trigger).await.unwrap(), Some(at(500)));
    // What was taken left no run behind, nor its request.
    let request = Some(flow.request(RequestCause::Accepted));
    assert_eq!(flow.take(Intake { request, ..tick(at(1)) }).await, IntakeOutcome::Taken);
    assert_eq!(world.store().runs(flow.tenant, RunFilter::default(), 10).await.unwrap().len(), made);
    assert_eq!(flow.request_count().await, 0);
    // Skipped, it is decided all the same.
    let active = flow.start(flow.slotted(1, Conflict::Skip)).await;
    let skipped = Intake { run: Some(flow.slotted(1, Conflict::Skip)), ..tick(at(501)) };
    assert!(matches!(flow.take(skipped).await, IntakeOutcome::Skipped(_)));
    assert_eq!(flow.take(tick(at(501))).await, IntakeOutcome::Taken);
    assert_eq!(flow.state(active).await, RunState::Running);
}

pub(crate) async fn an_event_starts_its_runs_once(world: &World) {
    let flow = Flow::new(world);
    let commit = |data: &'static [u8]| {
        let event = postrider_store::NewEvent {
            external_id: Some("mine".into()),
            data: Bytes::from_static(data),
            ..world.event("a.b")
        };
        let run = NewRun { event: Some(event.id), kind: TriggerKind::Event, ..flow.run() };
        let intake = Intake { with_event: Some(1), ..flow.intake(Some(run)) };
        Commit { events: vec![world.event("a.c"), event], intakes: vec![intake], ..world.commit(flow.tenant) }
    };
    let store = world.store();
    assert!(matches!(take(&store, commit(b"{}")).await, IntakeOutcome::Started { .. }));
    assert_eq!(take(&store, commit(b"{}")).await, IntakeOutcome::Taken);
    assert_eq!(take(&store, commit(b"{\"other\":1}")).await, IntakeOutcome::Taken);
    let runs = store.runs(flow.tenant, RunFilter::default(), 10).await.unwrap();
    assert_eq!(runs.len(), 1);
    let event = store.event_find(flow.tenant, "mine").await.unwrap().unwrap();
    assert_eq!(runs[0].event, Some(event.id));
}

pub(crate) async fn a_slot_takes_as_many_as_it_says(world: &World) {
    for max in 1..=3 {
        for conflict in [Conflict::Queue, Conflict::Skip, Conflict::CancelPrevious] {
            let flow = Flow::new(world);
            let mut active = Vec::new();
            for _ in 0..max {
                let run = flow.slotted(max, conflict);
                let outcome = flow.take(flow.intake(Some(run.clone()))).await;
                assert_eq!(outcome, IntakeOutcome::Started { run: run.id, claimed: true });
                active.push(run.id);
            }
            world.pass(SECOND);
            // Another key is another slot, and who asks for none is not counted.
            let other = Slot { key: "other".into(), max: 1, conflict };
            flow.start(NewRun { slot: Some(other), ..flow.claimed() }).await;
            flow.start(flow.claimed()).await;
            let beyond = flow.slotted(max, conflict);
            let outcome = flow.take(flow.intake(Some(beyond.clone()))).await;
            let row = flow.get(beyond.id).await;
            match conflict {
                Conflict::Queue => {
                    assert_eq!(outcome, IntakeOutcome::Started { run: beyond.id, claimed: false });
                    assert_eq!((row.state, row.due, row.fence), (RunState::Queued, None, 0));
                    assert!(flow.claim(10).await.claimed.is_empty(), "it waits for its slot");
                }
                Conflict::Skip => {
                    assert_eq!(outcome, IntakeOutcome::Skipped(beyond.id));
                    assert_eq!((row.state, row.finished), (RunState::Cancelled, Some(world.now())));
                    assert!(row.error.is_some_and(|why| why.contains("skip")));
                }
                Conflict::CancelPrevious => {
                    assert_eq!(outcome, IntakeOutcome::Started { run: beyond.id, claimed: true });
                    assert_eq!((row.state, row.fence), (RunState::Running, 1));
                }
            }
            for run in active {
                let row = flow.get(run).await;
                match conflict {
                    Conflict::CancelPrevious => {
                        assert_eq!((row.state, row.finished), (RunState::Cancelled, Some(world.now())));
                        assert!(row.error.is_some_and(|why| why.contains("cancel the previous")));
                        // Whoever works on it finds that out with the next thing that it writes.
                        moved(flow.try_write(flow.write(run, Hold::Claim(1), running(world.now()))).await);
                    }
                    Conflict::Queue | Conflict::Skip => assert_eq!(row.state, RunState::Running),
                }
            }
        }
    }
}

pub(crate) async fn a_slot_passes_on_in_order_however_its_run_ends(world: &World) {
    let flow = Flow::new(world);
    let mut waiting_runs = Vec::new();
    let mut holder = flow.start(flow.slotted(1, Conflict::Queue)).await;
    for _ in 0..5 {
        world.pass(SECOND);
        waiting_runs.push(flow.start(flow.slotted(1, Conflict::Queue)).await);
    }
    // One that is cancelled in the queue takes no turn.
    let gone = waiting_runs.remove(2);
    flow.end_slotted(gone, Hold::Any, RunState::Cancelled).await;
    assert_eq!(flow.get(waiting_runs[0]).await.due, None, "the holder still holds");
    let ways = [
        (Hold::Claim(1), RunState::Succeeded),
        (Hold::Claim(1), RunState::Failed),
        (Hold::Any, RunState::Cancelled),
        (Hold::Claim(1), RunState::Succeeded),
    ];
    for (next, (hold, state)) in waiting_runs.into_iter().zip(ways) {
        assert!(flow.claim(10).await.claimed.is_empty());
        world.pass(SECOND);
        flow.end_slotted(holder, hold, state).await;
        assert_eq!(flow.claim(10).await.claimed, [(next, 1)]);
        holder = next;
    }
    // The place of one that waits, hands back or loses its worker stays taken.
    let late = flow.start(flow.slotted(1, Conflict::Queue)).await;
    flow.written(flow.write(holder, Hold::Claim(1), waiting(Some(world.now())))).await;
    assert_eq!(flow.claim(10).await.claimed, [(holder, 2)]);
    flow.written(flow.write(holder, Hold::Claim(2), RunTo::HandedBack)).await;
    assert_eq!(flow.claim(10).await.claimed, [(holder, 3)]);
    assert_eq!(flow.get(late).await.due, None);
    flow.end_slotted(holder, Hold::Claim(3), RunState::Succeeded).await;
    assert_eq!(flow.claim(10).await.claimed, [(late, 1)]);
}

pub(crate) async fn a_later_run_takes_the_place_of_those_that_wait_too(world: &World) {
    let flow = Flow::new(world);
    let parent = flow.start(flow.claimed()).await;
    let child = NewRun { parent: Some(parent), ..flow.slotted(2, Conflict::Queue) };
    let calls =
        StepRow { link: Some(*child.id.as_bytes()), ..step("c", 0, StepStatus::Pending, world.now()) };
    let write = RunWrite { steps: vec![calls], ..flow.write(parent, Hold::Claim(1), waiting(None)) };
    flow.written(write).await;
    let child = flow.start(child).await;
    let resting = flow.start(flow.slotted(2, Conflict::Queue)).await;
    flow.written(flow.write(resting, Hold::Claim(1), waiting(None))).await;
    let queued = flow.start(flow.slotted(2, Conflict::Queue)).await;
    world.pass(SECOND);
    let last = flow.start(flow.slotted(2, Conflict::CancelPrevious)).await;
    for run in [child, resting, queued] {
        assert_eq!(flow.state(run).await, RunState::Cancelled);
    }
    assert_eq!(flow.state(last).await, RunState::Running);
    assert_eq!(flow.claim(10).await.claimed, [(parent, 2)], "it hears that its child was cancelled");
}

/// Any sequence of starts and ends, from several sides at once.
pub(crate) async fn never_are_more_active_than_a_slot_takes(world: &World) {
    let mut seed = [0; 64];
    world.random.fill(&mut seed);
    for max in 1..=3_usize {
        let flow = Flow::new(world);
        let mut open: Vec<(RunId, i64)> = Vec::new();
        let mut made = 0;
        for byte in seed {
            world.pass(Duration::from_millis(1));
            if byte % 3 > 0 || open.is_empty() {
                let several = (0..1 + byte % 4).map(|_| {
                    let run = flow.slotted(max as u32, Conflict::Queue);
                    flow.take(flow.intake(Some(run)))
                });
                let mut outcomes = Vec::new();
                for outcome in several {
                    outcomes.push(outcome.await);
                }
                made += outcomes.len();
                open.extend(outcomes.iter().filter_map(|outcome| match outcome {
                    IntakeOutcome::Started { run, claimed: true } => Some((*run, 1)),
                    _ => None,
                }));
            } else {
                let (run, fence) = open.remove(usize::from(byte) % open.len());
                let hold = if byte % 2 == 0 { Hold::Any } else { Hold::Claim(fence) };
                let state = if byte % 2 == 0 { RunState::Cancelled } else { RunState::Failed };
                flow.end_slotted(run, hold, state).await;
                open.extend(flow.claim(10).await.claimed);
            }
            let rows = world.store().runs(flow.tenant, RunFilter::default(), 1000).await.unwrap();
            assert_eq!(rows.len(), made);
            let active =
                rows.iter().filter(|row| row.state == RunState::Running || row.due.is_some()).count();
            let queued = rows.iter().filter(|row| row.state == RunState::Queued).count();
            assert!(active <= max, "{active} of {max}, seed {seed:?}");
            assert!(queued == 0 || active == max, "some wait although there is room, seed {seed:?}");
            assert_eq!(active, open.len());
        }
    }
}

pub(crate) async fn what_a_step_made_and_how_far_its_run_has_come_is_one_commit(world: &World) {
    let flow = Flow::new(world);
    let run = flow.start(flow.claimed()).await;
    let now = world.now();
    let begun = step("a", 0, StepStatus::Pending, now);
    flow.written(RunWrite {
        steps: vec![begun.clone()],
        ..flow.write(run, Hold::Claim(1), running(now.plus(LEASE)))
    })
    .await;
    let store = world.store();
    assert_eq!(store.run_steps(flow.tenant, run).await.unwrap(), std::slice::from_ref(&begun));
    let now = world.pass(SECOND);
    let done = StepRow { started: begun.started, ..step("a", 0, StepStatus::Succeeded, now) };
    let failed = step("b", 1, StepStatus::Failed, now);
    let event = world.event("a.b");
    let made = event.id;
    let write = RunWrite {
        steps: vec![done.clone(), failed.clone()],
        attempts: vec![("a".into(), attempted(1, now)), ("b".into(), attempted(2, now))],
        ..flow.write(run, Hold::Claim(1), ended(RunState::Failed))
    };
    let late = flow.write(run, Hold::Claim(1), ended(RunState::Succeeded));
    world.done(Commit { events: vec![event], runs: vec![write], ..world.commit(flow.tenant) }).await;
    assert_eq!(store.run_steps(flow.tenant, run).await.unwrap(), [done, failed]);
    let attempts = store.run_attempts(flow.tenant, run).await.unwrap();
    let attempts: Vec<_> = attempts.into_iter().map(|row| (row.path, row.attempt)).collect();
    assert_eq!(attempts, [("a".to_owned(), attempted(1, now)), ("b".to_owned(), attempted(2, now))]);
    assert_eq!(store.run_output(flow.tenant, run).await.unwrap().unwrap(), &b"[1.50]"[..]);
    let row = flow.get(run).await;
    assert_eq!((row.state, row.finished, row.due), (RunState::Failed, Some(now), None));
    assert_eq!(row.error.as_deref(), Some("It failed."));
    assert!(store.event_get(flow.tenant, made).await.unwrap().is_some());
    // With a write that comes too late goes all that is in its commit.
    let event = world.event("a.b");
    let unmade = event.id;
    let other = flow.run();
    let unstarted = other.id;
    let commit = Commit {
        events: vec![event],
        runs: vec![late],
        intakes: vec![flow.intake(Some(other))],
        ..world.commit(flow.tenant)
    };
    moved(world.try_commit(commit).await);
    assert_eq!(store.event_get(flow.tenant, unmade).await.unwrap(), None);
    assert_eq!(store.run_get(flow.tenant, unstarted).await.unwrap(), None);
}

/// Every way to write a run, under a hold.
fn ways(world: &World) -> Vec<RunTo> {
    let now = world.now();
    let event_after = Some(EventId::lowest_at(now));
    let mut ways = vec![
        running(now.plus(LEASE)),
        waiting(Some(now)),
        RunTo::Waiting { due: None, event_after },
        RunTo::HandedBack,
        RunTo::Woken,
    ];
    ways.extend(FINAL.map(ended));
    ways
}

/// A write with something of everything.
fn heavy(world: &World, write: RunWrite) -> RunWrite {
    let now = world.now();
    RunWrite {
        steps: vec![step("late", 7, StepStatus::Succeeded, now)],
        attempts: vec![("late".into(), attempted(1, now))],
        slot: Some("k".into()),
        ..write
    }
}

pub(crate) async fn a_write_under_an_older_claim_changes_nothing(world: &World) {
    let flow = Flow::new(world);
    let run = flow.start(flow.claimed()).await;
    flow.written(flow.write(run, Hold::Claim(1), RunTo::HandedBack)).await;
    assert_eq!(flow.claim(1).await.claimed, [(run, 2)]);
    world.pass(SECOND);
    let before = flow.picture(run).await;
    for to in ways(world) {
        for hold in [Hold::Claim(1), Hold::Claim(3), Hold::Claim(0), Hold::Waiting(2), Hold::Waiting(1)] {
            let by_claim = matches!(hold, Hold::Claim(_));
            // By a claim one ends a wait of one's own only.
            if by_claim == matches!(to, RunTo::Woken) {
                continue;
            }
            if !by_claim && !matches!(to, RunTo::Woken) {
                continue;
            }
            moved(flow.try_write(heavy(world, flow.write(run, hold, to.clone()))).await);
            assert_eq!(flow.picture(run).await, before, "{hold:?} {to:?}");
        }
    }
    // Nor does one of another tenant, under the right claim.
    let theirs = flow.write(run, Hold::Claim(2), ended(RunState::Failed));
    moved(flow.try_write(heavy(world, RunWrite { tenant: world.tenant(), ..theirs.clone() })).await);
    moved(flow.try_write(RunWrite { tenant: world.tenant(), hold: Hold::Any, ..theirs }).await);
    assert_eq!(flow.picture(run).await, before);
}

pub(crate) async fn what_has_ended_never_changes(world: &World) {
    for state in FINAL {
        let flow = Flow::new(world);
        let run = flow.start(flow.claimed()).await;
        flow.written(flow.write(run, Hold::Claim(1), ended(state))).await;
        world.pass(SECOND);
        let before = flow.picture(run).await;
        for to in ways(world) {
            for hold in [Hold::Claim(1), Hold::Waiting(1), Hold::Any] {
                // These two are never asked for together.
                if hold == Hold::Any && !matches!(to, RunTo::Ended { .. }) {
                    continue;
                }
                moved(flow.try_write(heavy(world, flow.write(run, hold, to.clone()))).await);
            }
        }
        assert!(flow.claim(10).await.claimed.is_empty());
        let store = world.store();
        let reaped = store.run_reap(world.now(), None, Box::new(|_| false)).await.unwrap();
        assert_eq!(reaped, RunsReaped::default());
        assert_eq!(flow.picture(run).await, before, "{state:?}");
    }
}

pub(crate) async fn a_run_is_cancelled_wherever_it_stands(world: &World) {
    let flow = Flow::new(world);
    let queued = flow.start(flow.run()).await;
    let working = flow.start(flow.claimed()).await;
    let resting = flow.start(flow.claimed()).await;
    let after = EventId::lowest_at(world.now());
    let waits = RunTo::Waiting { due: None, event_after: Some(after) };
    let steps = vec![step("w", 0, StepStatus::Pending, world.now())];
    flow.written(RunWrite { steps, ..flow.write(resting, Hold::Claim(1), waits) }).await;
    let store = world.store();
    let wait = WaitRow { tenant: flow.tenant, run: resting, path: "w".into(), after };
    assert_eq!(store.run_waits(Some(flow.tenant)).await.unwrap(), [wait]);
    let now = world.pass(SECOND);
    for (run, fence) in [(queued, 0), (working, 1), (resting, 1)] {
        let why = Some("It was cancelled.".to_owned());
        let to = RunTo::Ended { state: RunState::Cancelled, output: None, error: why.clone() };
        flow.written(flow.write(run, Hold::Any, to)).await;
        let row = flow.get(run).await;
        assert_eq!((row.state, row.error, row.finished), (RunState::Cancelled, why, Some(now)));
        assert_eq!((row.due, row.fence), (None, fence + 1));
        moved(flow.try_write(flow.write(run, Hold::Claim(fence), ended(RunState::Succeeded))).await);
    }
    assert!(store.run_waits(None).await.unwrap().is_empty(), "it waits for no event any more");
    assert!(flow.claim(10).await.claimed.is_empty());
}

pub(crate) async fn a_wait_ends_at_its_time_or_when_it_is_woken(world: &World) {
    let flow = Flow::new(world);
    let due = world.now().plus(10 * SECOND);
    let timed = flow.start(flow.claimed()).await;
    flow.written(flow.write(timed, Hold::Claim(1), waiting(Some(due)))).await;
    let hears = flow.start(flow.claimed()).await;
    let after = EventId::lowest_at(world.now());
    let waits = RunTo::Waiting { due: Some(due.plus(SECOND)), event_after: Some(after) };
    let pending = step("w", 0, StepStatus::Pending, world.now());
    flow.written(RunWrite { steps: vec![pending.clone()], ..flow.write(hears, Hold::Claim(1), waits) }).await;
    let answer = flow.claim(10).await;
    assert_eq!((answer.claimed, answer.next_due), (Vec::new(), Some(due)));
    let store = world.store();
    // Events that were looked at are not looked at again, and the place never moves back.
    let (later, earlier) = (EventId::lowest_at(due), after);
    for (moves, stands) in [(later, later), (earlier, later)] {
        store.run_wait_moves(flow.tenant, hears, moves).await.unwrap();
        assert_eq!(store.run_waits(None).await.unwrap()[0].after, stands);
    }
    assert!(store.run_waits(Some(world.tenant())).await.unwrap().is_empty());
    let came = StepRow { link: Some([9; 16]), ..pending };
    let woken = |fence| RunWrite {
        steps: vec![came.clone()],
        ..flow.write(hears, Hold::Waiting(fence), RunTo::Woken)
    };
    for stale in [0, 2] {
        moved(flow.try_write(woken(stale)).await);
    }
    flow.written(woken(1)).await;
    assert!(store.run_waits(None).await.unwrap().is_empty());
    assert_eq!(flow.claim(10).await.claimed, [(hears, 2)]);
    assert_eq!(store.run_steps(flow.tenant, hears).await.unwrap()[0].link, Some([9; 16]));
    moved(flow.try_write(woken(1)).await);
    moved(flow.try_write(woken(2)).await);
    world.pass(10 * SECOND - Duration::from_millis(1));
    assert!(flow.claim(10).await.claimed.is_empty());
    world.pass(Duration::from_millis(1));
    assert_eq!(flow.claim(10).await.claimed, [(timed, 2)]);
}

pub(crate) async fn a_run_that_went_on_to_another_wait_is_not_woken_from_the_first(world: &World) {
    let flow = Flow::new(world);
    let run = flow.start(flow.claimed()).await;
    let now = world.now();
    let first = step("first", 0, StepStatus::Pending, now);
    let waits = RunTo::Waiting { due: Some(now), event_after: Some(EventId::lowest_at(now)) };
    flow.written(RunWrite { steps: vec![first.clone()], ..flow.write(run, Hold::Claim(1), waits) }).await;
    assert_eq!(flow.claim(1).await.claimed, [(run, 2)], "its time was over");
    let steps = vec![step("first", 0, StepStatus::Failed, now), step("second", 1, StepStatus::Pending, now)];
    let to = waiting(Some(now.plus(DAY)));
    flow.written(RunWrite { steps, ..flow.write(run, Hold::Claim(2), to) }).await;
    let before = flow.picture(run).await;
    // Whoever looked at the first wait finds the event only now.
    let found = StepRow { link: Some([9; 16]), ..first };
    let woken = RunWrite { steps: vec![found], ..flow.write(run, Hold::Waiting(1), RunTo::Woken) };
    moved(flow.try_write(woken).await);
    assert_eq!(flow.picture(run).await, before);
}

pub(crate) async fn who_waits_for_a_run_is_woken_by_its_end_and_by_nothing_else(world: &World) {
    // How the child ends; as its parent's call stands by then.
    for (end, waits, woken) in [
        (Some(RunState::Succeeded), true, true),
        (Some(RunState::Failed), true, true),
        (Some(RunState::Cancelled), true, true),
        (None, true, true),
        (Some(RunState::Succeeded), false, false),
        (None, false, false),
    ] {
        let flow = Flow::new(world);
        let parent = flow.start(flow.claimed()).await;
        let child = NewRun { parent: Some(parent), ended: end.is_none(), ..flow.claimed() };
        let now = world.now();
        let status = if waits { StepStatus::Pending } else { StepStatus::Failed };
        let call = StepRow { link: Some(*child.id.as_bytes()), ..step("call", 0, status, now) };
        let write = RunWrite {
            steps: vec![call],
            ..flow.write(parent, Hold::Claim(1), waiting(Some(now.plus(DAY))))
        };
        let id = child.id;
        let intakes = vec![flow.intake(Some(child))];
        let commit = Commit { runs: vec![write], intakes, ..world.commit(flow.tenant) };
        assert!(matches!(take(&world.store(), commit).await, IntakeOutcome::Started { .. }));
        let end = match end {
            // It had ended as it began.
            None => None,
            Some(RunState::Cancelled) => Some(flow.write(id, Hold::Any, ended(RunState::Cancelled))),
            Some(state) => Some(flow.write(id, Hold::Claim(1), ended(state))),
        };
        if let Some(end) = end {
            assert!(flow.claim(10).await.claimed.is_empty());
            flow.written(RunWrite { parent: Some(parent), ..end }).await;
        }
        let expected = if woken { vec![(parent, 2)] } else { Vec::new() };
        assert_eq!(flow.claim(10).await.claimed, expected);
    }
}

pub(crate) async fn an_emit_under_a_taken_id_fails_its_step_in_the_same_commit(world: &World) {
    let flow = Flow::new(world);
    let run = flow.start(flow.claimed()).await;
    let event = |data: &'static [u8]| postrider_store::NewEvent {
        external_id: Some("mine".into()),
        data: Bytes::from_static(data),
        ..world.event("a.b")
    };
    let mut first = None;
    for (place, (data, status)) in [
        (&b"{\"n\":1}"[..], StepStatus::Succeeded),
        (b"{\"n\":1}", StepStatus::Succeeded),
        (b"{\"n\":2}", StepStatus::Failed),
    ]
    .into_iter()
    .enumerate()
    {
        let event = event(data);
        let first = *first.get_or_insert(event.id);
        let path = format!("emit{place}");
        let now = world.now();
        let done = StepRow {
            link: Some(*event.id.as_bytes()),
            ..step(&path, place as i64, StepStatus::Succeeded, now)
        };
        let before = step(&format!("before{place}"), 10 + place as i64, StepStatus::Succeeded, now);
        let write = RunWrite {
            steps: vec![before.clone(), done],
            unless_emitted: Some(step(&path, place as i64, StepStatus::Failed, now)),
            ..flow.write(run, Hold::Claim(1), running(now.plus(LEASE)))
        };
        let commit = Commit { events: vec![event], runs: vec![write], ..world.commit(flow.tenant) };
        world.done(commit).await;
        let steps = world.store().run_steps(flow.tenant, run).await.unwrap();
        let found = steps.iter().find(|step| step.path == path).unwrap();
        assert_eq!(found.status, status);
        let link = (status == StepStatus::Succeeded).then_some(*first.as_bytes());
        assert_eq!(found.link, link, "the event that is stored");
        assert!(steps.contains(&before), "the others are as they are");
    }
}

pub(crate) async fn due_runs_are_claimed_earliest_first_and_as_many_as_asked(world: &World) {
    let (flow, other) = (Flow::new(world), Flow::new(world));
    let mut runs = Vec::new();
    for _ in 0..5 {
        runs.push(flow.start(flow.run()).await);
        world.pass(SECOND);
    }
    let foreign = other.start(other.run()).await;
    let early = flow.start(flow.claimed()).await;
    let long_due = world.now().minus(DAY);
    flow.written(flow.write(early, Hold::Claim(1), waiting(Some(long_due)))).await;
    assert!(flow.claim(0).await.claimed.is_empty());
    assert_eq!(flow.claim(0).await.next_due, Some(long_due));
    assert_eq!(flow.claim(2).await.claimed, [(early, 2), (runs[0], 1)]);
    let answer = flow.claim(3).await;
    assert_eq!(answer.claimed, [(runs[1], 1), (runs[2], 1), (runs[3], 1)]);
    assert_eq!(answer.next_due, Some(flow.get(runs[4]).await.due.unwrap()));
    let want = |tenant, workflow| RunWant { tenant, workflow, count: 10 };
    let wants = vec![
        want(other.tenant, flow.workflow),
        want(flow.tenant, flow.workflow),
        want(flow.tenant, flow.workflow),
        want(other.tenant, other.workflow),
    ];
    let now = world.now();
    let answers = world.store().run_claim(now, now.plus(LEASE), wants).await.unwrap();
    let claimed: Vec<_> = answers.into_iter().map(|answer| answer.claimed).collect();
    assert_eq!(claimed, [vec![], vec![(runs[4], 1)], vec![], vec![(foreign, 1)]]);
    let row = flow.get(runs[4]).await;
    assert_eq!((row.state, row.due, row.started), (RunState::Running, None, Some(now)));
    assert!(world.store().workflows_due_any_tenant().await.unwrap().is_empty());
}

pub(crate) async fn a_claim_handed_back_is_due_at_once_under_a_new_one(world: &World) {
    let flow = Flow::new(world);
    let run = flow.start(flow.claimed()).await;
    let began = flow.get(run).await.started;
    let now = world.pass(SECOND);
    flow.written(flow.write(run, Hold::Claim(1), RunTo::HandedBack)).await;
    let row = flow.get(run).await;
    assert_eq!((row.state, row.due), (RunState::Queued, Some(now)));
    moved(flow.try_write(flow.write(run, Hold::Claim(1), RunTo::HandedBack)).await);
    let due = world.store().workflows_due_any_tenant().await.unwrap();
    assert_eq!(due, [(flow.tenant, flow.workflow, now)]);
    assert_eq!(flow.claim(1).await.claimed, [(run, 2)]);
    assert_eq!(flow.get(run).await.started, began, "it began when it began");
}

async fn reap(world: &World, before: Option<Timestamp>, held: &[RunId]) -> RunsReaped {
    let held = held.to_vec();
    world.store().run_reap(world.now(), before, Box::new(move |run| held.contains(&run))).await.unwrap()
}

pub(crate) async fn a_run_whose_worker_is_gone_is_due_and_one_in_hand_stays(world: &World) {
    let (flow, other) = (Flow::new(world), Flow::new(world));
    let until = world.now().plus(LEASE);
    let (gone, held) = (flow.start(flow.claimed()).await, flow.start(flow.claimed()).await);
    let also = flow.start(flow.claimed()).await;
    let later = other.start(NewRun { claim: Some(Lease::first(until.plus(SECOND))), ..other.run() }).await;
    world.pass(LEASE);
    assert_eq!(reap(world, Some(world.now()), &[]).await, RunsReaped::default(), "they hold to the end");
    let now = world.pass(Duration::from_millis(1));
    let due = vec![(flow.tenant, flow.workflow)];
    assert_eq!(reap(world, Some(now), &[held]).await, RunsReaped { runs: 2, due });
    for (run, state, fence) in
        [(gone, RunState::Queued, 2), (also, RunState::Queued, 2), (held, RunState::Running, 1)]
    {
        assert_eq!((flow.state(run).await, flow.get(run).await.fence), (state, fence));
    }
    assert_eq!(other.state(later).await, RunState::Running);
    moved(flow.try_write(flow.write(gone, Hold::Claim(1), ended(RunState::Succeeded))).await);
    flow.written(flow.write(held, Hold::Claim(1), ended(RunState::Succeeded))).await;
    // At start: all of this process's, however long they hold.
    let due = vec![(other.tenant, other.workflow)];
    assert_eq!(reap(world, None, &[]).await, RunsReaped { runs: 1, due });
    let mut claimed = flow.claim(10).await.claimed;
    claimed.sort_unstable();
    let mut expected = [(gone, 3), (also, 3)];
    expected.sort_unstable();
    assert_eq!(claimed, expected);
}

pub(crate) async fn what_is_old_and_has_ended_goes(world: &World) {
    let flow = Flow::new(world);
    let request =
        |run: NewRun, cause| Intake { request: Some(flow.request(cause)), ..flow.intake(Some(run)) };
    let mut old = Vec::new();
    for state in FINAL {
        let run = flow.claimed();
        old.push(run.id);
        flow.take(request(run, RequestCause::Accepted)).await;
        let write = flow.write(*old.last().unwrap(), Hold::Claim(1), ended(state));
        flow.written(heavy(world, write)).await;
    }
    let open = flow.claimed();
    let kept = open.id;
    flow.take(request(open, RequestCause::Accepted)).await;
    flow.take(Intake { request: Some(flow.request(RequestCause::Filtered)), ..flow.intake(None) }).await;
    let foreign = Flow::new(world);
    let theirs = foreign.start(NewRun { ended: true, ..foreign.run() }).await;
    world.pass(SECOND);
    let young = flow.start(NewRun { ended: true, ..flow.run() }).await;
    let store = world.store();
    world.pass(KEPT - SECOND);
    assert_eq!(store.runs_sweep(world.now(), flow.tenant, KEPT).await.unwrap(), 0);
    assert_eq!(flow.request_count().await, 5);
    world.pass(Duration::from_millis(1));
    // Of each: the run, its input, output, step and attempt; then four requests, of which one is its run's.
    assert_eq!(store.runs_sweep(world.now(), flow.tenant, KEPT).await.unwrap(), 3 * 5 + 4);
    for run in old {
        assert_eq!(store.run_get(flow.tenant, run).await.unwrap(), None);
        assert_eq!(store.run_input(flow.tenant, run).await.unwrap(), None);
        assert_eq!(store.run_output(flow.tenant, run).await.unwrap(), None);
        assert!(store.run_steps(flow.tenant, run).await.unwrap().is_empty());
        assert!(store.run_attempts(flow.tenant, run).await.unwrap().is_empty());
    }
    assert_eq!(flow.state(kept).await, RunState::Running);
    assert_eq!(flow.state(young).await, RunState::Succeeded);
    assert_eq!(foreign.state(theirs).await, RunState::Succeeded);
    assert_eq!(flow.request_count().await, 1, "with its run stays its request");
    assert!(store.run_input(flow.tenant, kept).await.unwrap().is_some());
    flow.written(flow.write(kept, Hold::Claim(1), ended(RunState::Succeeded))).await;
    assert_eq!(store.runs_sweep(world.now(), flow.tenant, KEPT).await.unwrap(), 3 + 1);
    assert_eq!(flow.request_count().await, 0);
}

pub(crate) async fn refused_requests_are_kept_up_to_a_number(world: &World) {
    let (flow, other) = (Flow::new(world), Flow::new(world));
    let mut refused = Vec::new();
    for _ in 0..7 {
        world.pass(Duration::from_millis(1));
        let request = flow.request(RequestCause::VerificationFailed);
        refused.push(request.id);
        flow.take(Intake { request: Some(request), ..flow.intake(None) }).await;
        let request = Some(flow.request(RequestCause::Accepted));
        flow.take(Intake { request, ..flow.intake(Some(flow.run())) }).await;
        let request = Some(other.request(RequestCause::Method));
        other.take(Intake { request, ..other.intake(None) }).await;
    }
    let store = world.store();
    let trim = async |kept| store.requests_trim(flow.tenant, flow.trigger, kept).await.unwrap();
    assert_eq!((trim(8).await, trim(7).await), (0, 0));
    assert_eq!(trim(3).await, 4);
    assert_eq!(trim(3).await, 0);
    let filter = RequestFilter { cause: Some(RequestCause::VerificationFailed), ..RequestFilter::default() };
    let left = store.requests(flow.tenant, filter, 100).await.unwrap();
    let left: Vec<_> = left.into_iter().map(|row| row.request.id).collect();
    assert_eq!(left, refused[4..].iter().copied().rev().collect::<Vec<_>>(), "the newest");
    assert_eq!(flow.request_count().await, 3 + 7, "what started a run stays");
    assert_eq!(other.request_count().await, 7);
    assert_eq!(trim(0).await, 3);
}

pub(crate) async fn what_triggers_took_long_ago_is_forgotten(world: &World) {
    let flow = Flow::new(world);
    let of = |key: &str| Intake { dedup: flow.dedup(key), ..flow.intake(Some(flow.run())) };
    flow.take(of("old")).await;
    let between = world.pass(SECOND);
    flow.take(of("young")).await;
    let store = world.store();
    assert_eq!(store.dedup_sweep(between.minus(SECOND)).await.unwrap(), 0);
    assert_eq!(store.dedup_sweep(between).await.unwrap(), 1);
    assert_eq!(store.dedup_sweep(between).await.unwrap(), 0);
    assert!(matches!(flow.take(of("old")).await, IntakeOutcome::Started { .. }));
    assert!(matches!(flow.take(of("young")).await, IntakeOutcome::Duplicate(_)));
}

pub(crate) async fn runs_and_requests_are_listed_newest_first_by_every_field(world: &World) {
    let (flow, other) = (Flow::new(world), Flow::new(world));
    let mut runs = Vec::new();
    for place in 0..6 {
        world.pass(Duration::from_millis(1));
        let run = NewRun { ended: place % 2 == 0, ..flow.run() };
        runs.push(flow.start(run).await);
    }
    world.pass(Duration::from_millis(1));
    let elsewhere = NewRun { workflow: other.workflow, trigger: None, ..flow.run() };
    let elsewhere = flow.start(elsewhere).await;
    runs.reverse();
    let store = world.store();
    let list = async |tenant, filter| -> Vec<RunId> {
        store.runs(tenant, filter, 100).await.unwrap().iter().map(|row| row.id).collect()
    };
    let all = RunFilter::default();
    let ended: Vec<_> = runs.iter().copied().skip(1).step_by(2).collect();
    for (filter, expected) in [
        (RunFilter { workflow: Some(flow.workflow), ..all }, runs.clone()),
        (RunFilter { trigger: Some(flow.trigger), ..all }, runs.clone()),
        (RunFilter { state: Some(RunState::Succeeded), ..all }, ended),
        (RunFilter { before: Some(runs[3]), ..all }, runs[4..].to_vec()),
        (RunFilter { workflow: Some(other.workflow), ..all }, vec![elsewhere]),
        (RunFilter { state: Some(RunState::Failed), ..all }, Vec::new()),
        (all, [vec![elsewhere], runs.clone()].concat()),
    ] {
        assert_eq!(list(flow.tenant, filter).await, expected, "{filter:?}");
        assert!(list(other.tenant, filter).await.is_empty());
    }
    assert_eq!(store.runs(flow.tenant, all, 2).await.unwrap().len(), 2);
    for run in runs {
        assert_eq!(store.run_get(other.tenant, run).await.unwrap(), None);
        assert_eq!(store.run_input(other.tenant, run).await.unwrap(), None);
        assert!(store.run_steps(other.tenant, run).await.unwrap().is_empty());
    }
}

pub(crate) async fn runs_are_there_after_a_restart(world: &World) {
    let flow = Flow::new(world);
    let run = flow.start(flow.slotted(1, Conflict::Queue)).await;
    let next = flow.start(flow.slotted(1, Conflict::Queue)).await;
    let (write, now) = (flow.write(run, Hold::Claim(1), running(world.now().plus(LEASE))), world.now());
    flow.written(heavy(world, write)).await;
    let before = (flow.picture(run).await, flow.picture(next).await);
    world.restart().await;
    assert_eq!((flow.picture(run).await, flow.picture(next).await), before);
    let taken = world.store().workflows_due_any_tenant().await.unwrap();
    assert!(taken.is_empty(), "{taken:?}");
    flow.end_slotted(run, Hold::Any, RunState::Cancelled).await;
    assert_eq!(flow.claim(9).await.claimed, [(next, 1)]);
    assert_eq!(flow.get(next).await.started, Some(now));
}
