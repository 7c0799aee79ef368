use std::collections::HashMap;
use std::time::Duration;

use postrider_domain::delivery::{DeliveryKind, DeliveryState, Reason};
use postrider_domain::id::{DeliveryId, TenantId, WebhookId};
use postrider_store::{AfterCrash, Commit, LedgerRow, WebhookStats};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::world::{DAY, SECOND, Sending, World};

/// Something that happens to one of a tenant's two webhooks.
#[derive(Debug, Clone)]
enum Step {
    Accept {
        webhook: usize,
        count: usize,
        claimed: bool,
        kind: DeliveryKind,
    },
    Claim {
        webhook: usize,
        count: u32,
    },
    /// Of the n-th claim in hand, counted round.
    Deliver(usize),
    Fail(usize),
    Retry(usize),
    HandBack(usize),
    /// Settles with a claim that is no longer held.
    Late(usize),
    Cancel {
        webhook: usize,
    },
    Reap(AfterCrash),
    Replay {
        webhook: usize,
    },
    Pass {
        minutes: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![4 => Just(DeliveryKind::Normal), 1 => Just(DeliveryKind::Test)];
    prop_oneof![
        4 => (0..2usize, 1..4usize, any::<bool>(), kind)
            .prop_map(|(webhook, count, claimed, kind)| Step::Accept { webhook, count, claimed, kind }),
        3 => (0..2usize, 0..4u32).prop_map(|(webhook, count)| Step::Claim { webhook, count }),
        3 => (0..9usize).prop_map(Step::Deliver),
        2 => (0..9usize).prop_map(Step::Fail),
        2 => (0..9usize).prop_map(Step::Retry),
        1 => (0..9usize).prop_map(Step::HandBack),
        1 => (0..9usize).prop_map(Step::Late),
        1 => (0..2usize).prop_map(|webhook| Step::Cancel { webhook }),
        1 => prop_oneof![Just(AfterCrash::SendAgain), Just(AfterCrash::Fail)].prop_map(Step::Reap),
        1 => (0..2usize).prop_map(|webhook| Step::Replay { webhook }),
        1 => (0..90u64).prop_map(|minutes| Step::Pass { minutes }),
    ]
}

/// What the store should know, in a map.
struct Model {
    tenant: TenantId,
    webhooks: [WebhookId; 2],
    deliveries: HashMap<DeliveryId, (DeliveryKind, WebhookId, DeliveryState)>,
    in_hand: Vec<Sending>,
    gone: Vec<Sending>,
}

impl Model {
    fn set(&mut self, delivery: DeliveryId, state: DeliveryState) {
        self.deliveries.get_mut(&delivery).expect("known").2 = state;
    }

    fn take(&mut self, nth: usize) -> Option<Sending> {
        if self.in_hand.is_empty() {
            return None;
        }
        let sending = self.in_hand.remove(nth % self.in_hand.len());
        self.gone.push(sending);
        Some(sending)
    }

    fn count(&self, kind: DeliveryKind, state: DeliveryState) -> u64 {
        self.deliveries.values().filter(|(k, _, s)| *k == kind && *s == state).count() as u64
    }

    fn ledger(&self) -> [LedgerRow; 3] {
        DeliveryKind::ALL.map(|kind| LedgerRow {
            kind,
            accepted: self.deliveries.values().filter(|(k, _, _)| *k == kind).count() as u64,
            scheduled: self.count(kind, DeliveryState::Scheduled),
            sending: self.count(kind, DeliveryState::Sending),
            delivered: self.count(kind, DeliveryState::Delivered),
            failed: self.count(kind, DeliveryState::Failed),
            cancelled: self.count(kind, DeliveryState::Cancelled),
        })
    }

    async fn run(&mut self, world: &World, step: &Step) {
        match *step {
            Step::Accept { webhook, count, claimed, kind } => {
                for _ in 0..count {
                    let webhook = self.webhooks[webhook];
                    if claimed {
                        let sending = world.accept_sending(self.tenant, webhook, kind).await;
                        self.in_hand.push(sending);
                        self.deliveries.insert(sending.delivery, (kind, webhook, DeliveryState::Sending));
                    } else {
                        let (_, delivery) = world.accept_scheduled(self.tenant, webhook).await;
                        self.deliveries
                            .insert(delivery, (DeliveryKind::Normal, webhook, DeliveryState::Scheduled));
                    }
                }
            }
            Step::Claim { webhook, count } => {
                let answer = world.claim(self.tenant, self.webhooks[webhook], count).await;
                for claimed in &answer.claimed {
                    assert_eq!(self.deliveries[&claimed.delivery].2, DeliveryState::Scheduled);
                    self.set(claimed.delivery, DeliveryState::Sending);
                    self.in_hand.push(Sending::of(claimed));
                }
            }
            Step::Deliver(nth) => {
                if let Some(sending) = self.take(nth) {
                    assert!(world.deliver(self.tenant, sending).await);
                    self.set(sending.delivery, DeliveryState::Delivered);
                }
            }
            Step::Fail(nth) => {
                if let Some(sending) = self.take(nth) {
                    assert!(world.settle(self.tenant, sending.failed(world.now())).await);
                    self.set(sending.delivery, DeliveryState::Failed);
                }
            }
            Step::Retry(nth) => {
                if let Some(sending) = self.take(nth) {
                    let retry = sending.retry(world.now(), world.now().plus(SECOND), 1);
                    assert!(world.settle(self.tenant, retry).await);
                    self.set(sending.delivery, DeliveryState::Scheduled);
                }
            }
            Step::HandBack(nth) => {
                if let Some(sending) = self.take(nth) {
                    let store = world.store();
                    let back = store.delivery_hand_back(
                        Some(world.now()),
                        self.tenant,
                        sending.delivery,
                        sending.fence,
                    );
                    assert!(back.await.unwrap());
                    self.set(sending.delivery, DeliveryState::Scheduled);
                }
            }
            Step::Late(nth) => {
                if !self.gone.is_empty() {
                    let late = self.gone[nth % self.gone.len()];
                    assert!(!world.deliver(self.tenant, late).await);
                }
            }
            Step::Cancel { webhook } => {
                let webhook = self.webhooks[webhook];
                let store = world.store();
                let cancelled = store
                    .delivery_cancel(world.now(), self.tenant, webhook, Reason::WebhookOff, None)
                    .await
                    .unwrap();
                let mut expected = 0;
                for (_, on, state) in self.deliveries.values_mut() {
                    if *on == webhook && *state == DeliveryState::Scheduled {
                        *state = DeliveryState::Cancelled;
                        expected += 1;
                    }
                }
                assert_eq!(cancelled, expected);
            }
            Step::Reap(after_crash) => {
                let report = world
                    .store()
                    .lease_reap(world.now(), None, Box::new(move |_, _| Some(after_crash)))
                    .await
                    .unwrap();
                assert_eq!(report.sent_again + report.failed, self.in_hand.len() as u64);
                for sending in std::mem::take(&mut self.in_hand) {
                    self.set(
                        sending.delivery,
                        match after_crash {
                            AfterCrash::SendAgain => DeliveryState::Scheduled,
                            AfterCrash::Fail => DeliveryState::Failed,
                        },
                    );
                    self.gone.push(sending);
                }
            }
            Step::Replay { webhook } => {
                if let Some(sending) = self.gone.first() {
                    let replay = world.replay(sending.event, self.webhooks[webhook]);
                    let id = replay.id;
                    let commit = Commit { replays: vec![replay], ..world.commit(self.tenant) };
                    assert_eq!(world.done(commit).await.replays, [true]);
                    self.deliveries
                        .insert(id, (DeliveryKind::Replay, self.webhooks[webhook], DeliveryState::Scheduled));
                }
            }
            Step::Pass { minutes } => {
                world.pass(Duration::from_secs(60 * minutes));
            }
        }
    }
}

pub(crate) async fn the_ledger_balances_after_any_sequence(world: &World) {
    let config = Config { cases: 40, failure_persistence: None, ..Config::default() };
    let handle = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        TestRunner::new(config)
            .run(&proptest::collection::vec(step(), 1..40), |steps| {
                handle.block_on(async {
                    let mut model = Model {
                        tenant: world.tenant(),
                        webhooks: [world.webhook(), world.webhook()],
                        deliveries: HashMap::new(),
                        in_hand: Vec::new(),
                        gone: Vec::new(),
                    };
                    for step in &steps {
                        model.run(world, step).await;
                    }
                    let ledger = world.store().ledger(Some(model.tenant)).await.unwrap();
                    assert_eq!(ledger, model.ledger());
                    assert!(ledger.iter().all(LedgerRow::is_balanced));
                    for (delivery, (kind, _, state)) in &model.deliveries {
                        let stored = world.get(model.tenant, *delivery).await;
                        assert_eq!((stored.kind, stored.state), (*kind, *state));
                    }
                    // What is in hand would be reaped by the next case.
                    for sending in model.in_hand {
                        assert!(world.deliver(model.tenant, sending).await);
                    }
                });
                Ok(())
            })
            .unwrap();
    });
}

pub(crate) async fn tests_and_replays_are_counted_apart(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let normal = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    let test = world.accept_sending(tenant, webhook, DeliveryKind::Test).await;
    world.settle(tenant, normal.failed(world.now())).await;
    world.deliver(tenant, test).await;
    let replays = vec![world.replay(normal.event, webhook)];
    world.done(Commit { replays, ..world.commit(tenant) }).await;
    let rows = world.store().ledger(Some(tenant)).await.unwrap();
    let counts = rows.map(|row| (row.kind, row.accepted, row.scheduled, row.delivered, row.failed));
    assert_eq!(
        counts,
        [
            (DeliveryKind::Normal, 1, 0, 0, 1),
            (DeliveryKind::Test, 1, 0, 1, 0),
            (DeliveryKind::Replay, 1, 1, 0, 0)
        ]
    );
    assert_eq!(world.store().ledger(None).await.unwrap(), rows);
}

pub(crate) async fn statistics_are_of_the_last_day_without_tests(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    let stats = |now| {
        let store = world.store();
        async move { store.webhook_stats(tenant, webhook, now).await.unwrap() }
    };
    assert_eq!(stats(world.now()).await, WebhookStats::default());
    let old = world.now();
    let first = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    world.deliver(tenant, first).await;
    let test = world.accept_sending(tenant, webhook, DeliveryKind::Test).await;
    world.deliver(tenant, test).await;
    assert_eq!(stats(old).await, WebhookStats { last_fired: Some(old), attempts: 1, succeeded: 1 });

    let now = world.pass(DAY - Duration::from_secs(3600));
    let second = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    world.settle(tenant, second.failed(now)).await;
    assert_eq!(stats(now).await, WebhookStats { last_fired: Some(now), attempts: 2, succeeded: 1 });
    let later = world.pass(Duration::from_secs(3600));
    assert_eq!(stats(later).await, WebhookStats { last_fired: Some(now), attempts: 1, succeeded: 0 });
    let much_later = world.pass(10 * DAY);
    assert_eq!(stats(much_later).await, WebhookStats { last_fired: Some(now), attempts: 0, succeeded: 0 });
}

pub(crate) async fn latencies_fall_into_their_buckets(world: &World) {
    let (tenant, webhook) = (world.tenant(), world.webhook());
    for total_us in [0, 10_000, 10_001, 300_000, 2_000_000, 10_000_000, 10_000_001, u64::MAX / 2] {
        let sending = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
        let mut settlement = sending.delivered(world.now());
        std::sync::Arc::make_mut(&mut settlement.attempt).timing.total_us = total_us;
        world.settle(tenant, settlement).await;
    }
    let lost = world.accept_sending(tenant, webhook, DeliveryKind::Normal).await;
    world.store().lease_reap(world.now(), None, Box::new(|_, _| Some(AfterCrash::Fail))).await.unwrap();
    assert_eq!(world.state(tenant, lost.delivery).await.0, DeliveryState::Failed);
    let hour = world.now().hour();
    let hours =
        world.store().webhook_hours(tenant, webhook, hour, hour.plus(Duration::from_secs(1))).await.unwrap();
    assert_eq!(hours.len(), 1);
    assert_eq!((hours[0].hour, hours[0].attempts, hours[0].succeeded), (hour, 9, 8));
    assert_eq!(hours[0].latency, [2, 1, 0, 1, 0, 1, 1, 2]);
}
