//! A delivery that somebody sends once more to another URL.

use std::sync::Arc;

use postrider_domain::delivery::{DeliveryKind, DeliveryState, Reason};
use postrider_domain::id::{AuditId, DeliveryId};
use postrider_engine::catalogue::{Tenant, Webhook};
use postrider_engine::control::Actor;
use postrider_engine::{Answered, EngineError};
use postrider_store::config::AuditRow;
use postrider_store::{Commit, CommitOutcome, Heard, NewDelivery, Resend, StoredDelivery, first_delivery_id};
use postrider_testkit::receiver::{Answer, Gate, Receiver};

use crate::house::House;

/// One delivery that arrived at its webhook, and somebody who looks elsewhere.
struct Sent {
    tenant: Arc<Tenant>,
    webhook: Arc<Webhook>,
    own: Receiver,
    other: Receiver,
    delivery: StoredDelivery,
}

async fn sent(house: &House, profile: &str, event_type: &str) -> Sent {
    let (own, other) = (Receiver::start().await, Receiver::start().await);
    let tenant = house.tenant(profile).await;
    let webhook = house.webhook(&tenant, &own.url("/in"), &["*"]).await;
    house.publish(&tenant, event_type).await;
    let delivery = house.all_ended(&tenant).await.remove(0);
    Sent { tenant, webhook, own, other, delivery }
}

impl Sent {
    async fn resend(&self, house: &House, url: &str) -> Result<DeliveryId, EngineError> {
        let (actor, tenant) = (Actor::postrider(), house.now(&self.tenant));
        let asked = house.engine.delivery_resend(&actor, &tenant, self.delivery.id, url, None);
        match asked.await? {
            Answered::Fresh(id) => Ok(id),
            Answered::Replayed(_) => panic!("nobody gave a key"),
        }
    }

    async fn ended(&self, house: &House, id: DeliveryId) -> StoredDelivery {
        let all = house.all_ended(&self.tenant).await;
        all.into_iter().find(|delivery| delivery.id == id).expect("it is listed")
    }

    /// As a process leaves it that ends between the commit and the sending.
    async fn left_unsent(&self, house: &House) -> DeliveryId {
        let (store, now) = (house.engine.store(), house.now_by_clock());
        let random = &**house.engine.random();
        let id = first_delivery_id(self.delivery.event, random);
        let audit = AuditRow {
            id: AuditId::new(now, random),
            tenant: Some(self.tenant.id),
            at: now,
            actor: "postrider".to_owned(),
            action: "delivery.resent_elsewhere".to_owned(),
            target: self.delivery.id.to_string(),
            detail: "{}".to_owned(),
        };
        let replay = NewDelivery {
            id,
            event: self.delivery.event,
            webhook: self.webhook.id,
            kind: DeliveryKind::Test,
            due: now,
            reason: Reason::Waiting,
            claim: None,
        };
        let resends = vec![Resend { delivery: id, url: self.other.url("/dev"), audit }];
        let commit = Commit { replays: vec![replay], resends, ..Commit::new(self.tenant.id, now) };
        let done = store.commit_enqueue(commit).expect("there is room").await.expect("the writer answers");
        assert!(matches!(done, Ok(CommitOutcome::Done { replays, .. }) if replays == [true]));
        id
    }
}

#[tokio::test]
async fn it_reads_there_byte_for_byte_as_at_its_webhook_which_gets_nothing() {
    let [node, _other] = House::two_nodes().await;
    for house in [House::open().await, node] {
        for (profile, event_type) in [("standard", "order.created"), ("smartmaintenance", "task.completed")] {
            let sent = sent(&house, profile, event_type).await;
            let id = sent.resend(&house, &sent.other.url("/dev?as=me")).await.expect("it is sent");
            let there = sent.other.wait_for(1).await.remove(0);
            let delivery = sent.ended(&house, id).await;
            assert_eq!((delivery.kind, delivery.state), (DeliveryKind::Test, DeliveryState::Delivered));
            assert_eq!((delivery.event, delivery.webhook), (sent.delivery.event, sent.webhook.id));
            let here = sent.own.received();
            assert_eq!(here.len(), 1, "the webhook's own receiver gets nothing");
            assert_eq!(there.body, here[0].body);
            assert_eq!(there.path, "/dev?as=me");
            let without_host = |headers: &[(String, String)]| -> Vec<(String, String)> {
                // The clock stands still, so times and signatures are the same; ids of deliveries are their own.
                let own = |name: &str| name.eq_ignore_ascii_case("host");
                headers.iter().filter(|(name, _)| !own(name)).cloned().collect()
            };
            assert_eq!(without_host(&there.headers), without_host(&here[0].headers));
            assert_eq!(house.engine.store().attempts(sent.tenant.id, id).await.expect("attempts").len(), 1);
            let url = house.engine.store().delivery_elsewhere(sent.tenant.id, id).await.expect("it is read");
            assert_eq!(url, Some(sent.other.url("/dev?as=me")));
        }
        house.ledger_balances().await;
    }
}

#[tokio::test]
async fn it_is_one_request_and_says_nothing_about_the_webhook() {
    let [node, _other] = House::two_nodes().await;
    for house in [House::open().await, node] {
        let sent = sent(&house, "standard", "order.created").await;
        for status in [500, 410] {
            sent.other.answer(Answer::status(status));
            let id = sent.resend(&house, &sent.other.url("/")).await.expect("it is sent");
            let delivery = sent.ended(&house, id).await;
            assert_eq!(
                (delivery.state, delivery.reason, delivery.attempts),
                (DeliveryState::Failed, Reason::SingleAttemptFailed, 1),
                "{status}"
            );
        }
        let now = house.now(&sent.tenant);
        assert!(
            now.webhook(sent.webhook.id).expect("it is there").enabled,
            "410 is not the webhook's answer"
        );
        let store = house.engine.store();
        let stats = store.webhook_stats(sent.tenant.id, sent.webhook.id, house.now_by_clock()).await;
        assert_eq!(stats.expect("stats").attempts, 1, "only the webhook's own request counts");
        let event = store.event_get(sent.tenant.id, sent.delivery.event).await.expect("it is read");
        let explained = house.engine.explain(&now, &event.expect("it is there")).await.expect("explained");
        assert_eq!(explained.deliveries.len(), 3);
        assert_eq!(explained.outcomes[0].delivery.as_ref().map(|one| one.id), Some(sent.delivery.id));
        assert_eq!(sent.own.received().len(), 1);
        house.ledger_balances().await;
    }
}

#[tokio::test]
async fn it_goes_out_also_when_the_webhook_is_off() {
    let house = House::open().await;
    let sent = sent(&house, "standard", "order.created").await;
    house.switch(&sent.webhook, false).await;
    let id = sent.resend(&house, &sent.other.url("/")).await.expect("it is sent");
    assert_eq!(sent.ended(&house, id).await.state, DeliveryState::Delivered);
}

#[tokio::test]
async fn on_disk_an_interrupted_one_goes_to_the_other_url_again() {
    let house = House::open().await;
    let sent = sent(&house, "standard", "order.created").await;
    let gate = Gate::closed();
    sent.other.answer_next([Answer::ok().behind(&gate)]);
    let id = sent.resend(&house, &sent.other.url("/dev")).await.expect("it is sent");
    sent.other.wait_for(1).await;
    let after = house.after_power_loss().await;
    sent.other.wait_for(2).await;
    assert_eq!(sent.ended(&after, id).await.state, DeliveryState::Delivered);
    assert_eq!(sent.own.received().len(), 1);
}

#[tokio::test]
async fn one_that_was_made_and_not_sent_goes_to_the_other_url_after_a_restart() {
    let house = House::open().await;
    let sent = sent(&house, "standard", "order.created").await;
    let id = sent.left_unsent(&house).await;
    let house = house.restarted().await;
    sent.other.wait_for(1).await;
    assert_eq!(sent.ended(&house, id).await.state, DeliveryState::Delivered);
    assert_eq!(sent.own.received().len(), 1);
}

#[tokio::test]
async fn one_that_another_node_claims_goes_to_the_other_url() {
    let [one, other] = House::two_nodes().await;
    let sent = sent(&one, "standard", "order.created").await;
    let of_other = |house: &House| house.engine.catalogue().tenant(sent.tenant.id);
    other.heard(|_| of_other(&other).is_some_and(|tenant| !tenant.webhooks.is_empty())).await;
    let id = sent.left_unsent(&one).await;
    one.engine.store().tell(Heard::Due(sent.tenant.id, sent.webhook.id)).await.expect("it is told");
    sent.other.wait_for(1).await;
    assert_eq!(sent.ended(&one, id).await.state, DeliveryState::Delivered);
    assert_eq!(sent.own.received().len(), 1);
}
