//! Every hostile receiver of the zoo against the one client: one attempt, its class, its deadline, nobody else harmed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use postrider_egress::{
    AllowList, BodyEnd, Budgets, Egress, EgressConfig, Exchange, FailureClass, FixedNames, Policy, ReadBody,
    Request, Reuse, Target,
};
use postrider_testkit::receiver::Receiver;
use postrider_testkit::tls::TestAuthority;
use postrider_testkit::zoo::{Behaviour, Hostile, Rule};
use tokio::time::Instant;

/// Of the whole attempt. The budgets below it are shorter, so that each phase meets its own.
const TIMEOUT: Duration = Duration::from_millis(1500);
const PHASE: Duration = Duration::from_millis(600);
const BODY_FOR_LOG: Duration = Duration::from_millis(400);
/// Between two bytes of those that drip.
const PACE: Duration = Duration::from_millis(50);
/// How late an attempt may end: the promise is the deadline plus a second.
const SLACK: Duration = Duration::from_secs(1);
const READ_BYTES: usize = 256 * 1024;
const KEPT_BYTES: usize = 16 * 1024;
/// Of one read from the socket, which is where counting can stop.
const READ_STEP_BYTES: u64 = 512 * 1024;
/// More than a receiver that never reads lets into its buffers and ours.
const BODY_BYTES: usize = 8 * 1024 * 1024;

struct World {
    egress: Egress,
    authority: TestAuthority,
    good: Receiver,
}

impl World {
    async fn new() -> Self {
        let authority = TestAuthority::default();
        let budgets = Budgets {
            dns: PHASE,
            connect: PHASE,
            tls: PHASE,
            response_read_bytes: READ_BYTES,
            response_kept_bytes: KEPT_BYTES,
            response_head_bytes: 64 * 1024,
            response_headers_max: 100,
            socket_age: Duration::from_secs(60),
            idle_per_origin_max: 8,
            idle_total_max: 64,
        };
        let loopback = AllowList::parse(&["127.0.0.0/8".to_owned()]).expect("the range is valid");
        let egress = Egress::new(EgressConfig {
            policy: Policy::new(loopback),
            budgets,
            resolver: Arc::new(FixedNames::new()),
            extra_roots_pem: authority.certificate_pem().into_bytes(),
        });
        Self { egress: egress.expect("the roots are valid"), authority, good: Receiver::start().await }
    }

    async fn send(&self, url: &str, rule: Rule, body: Bytes) -> Exchange {
        let target = Target::parse(url, self.egress.policy()).expect("the policy allows loopback");
        let body_rule = match rule {
            Rule::StatusOnly => ReadBody::ForLog { at_most: BODY_FOR_LOG },
            Rule::BodyComplete => ReadBody::ToTheEnd,
        };
        let request = Request {
            method: Method::POST,
            target,
            headers: HeaderMap::new(),
            body,
            timeout: TIMEOUT,
            partition: [7; 16],
            reuse: Reuse::Any,
            body_rule,
        };
        self.egress.send(request).await
    }
}

/// The attempt class, as the engine derives it from an exchange under a profile's success rule.
fn class(exchange: &Exchange, rule: Rule) -> &'static str {
    match &exchange.result {
        Err(failure) => failure.class.as_str(),
        Ok(response) if !(200..300).contains(&response.status) => "status",
        Ok(response) if rule == Rule::BodyComplete && response.body_end != BodyEnd::Complete => "body",
        Ok(_) => "success",
    }
}

async fn check(world: &World, behaviour: Behaviour, rule: Rule) {
    let hostile = Hostile::start(behaviour, PACE, &world.authority).await.expect("loopback has a free port");
    let body = match behaviour {
        Behaviour::NeverReads => Bytes::from(vec![b'z'; BODY_BYTES]),
        _ => Bytes::from_static(b"{}"),
    };

    let began = Instant::now();
    let exchange = world.send(&hostile.url(), rule, body).await;
    let took = began.elapsed();

    let expected: Vec<_> = behaviour.expected(rule).iter().map(|class| class.as_str()).collect();
    let class = class(&exchange, rule);
    assert!(expected.contains(&class), "{behaviour:?}, {rule:?}: {class}, not {expected:?}; {exchange:?}");
    assert!(took < TIMEOUT + SLACK, "{behaviour:?}, {rule:?}: took {took:?}");
    if let Ok(response) = &exchange.result {
        assert!(response.body.len() <= KEPT_BYTES, "{behaviour:?}: kept {}", response.body.len());
        let read = response.body_bytes;
        assert!(read <= READ_BYTES as u64 + READ_STEP_BYTES, "{behaviour:?}: read {read} bytes");
    }
    if let Err(failure) = &exchange.result
        && matches!(failure.class, FailureClass::Connect | FailureClass::Tls)
    {
        assert!(!failure.bytes_sent, "{behaviour:?}: nothing was sent, says the class");
    }

    // The next requests through the same pool, to somebody else: on a new socket, then on a kept one.
    let before = world.good.received().len();
    for _ in 0..2 {
        let exchange = world.send(&world.good.url("/good"), rule, Bytes::from_static(b"good")).await;
        let response = exchange.result.expect("the good receiver answers");
        assert_eq!((response.status, response.body_end), (200, BodyEnd::Complete), "after {behaviour:?}");
    }
    assert_eq!(world.good.received().len(), before + 2, "after {behaviour:?}");

    let dials = usize::from(behaviour != Behaviour::NeverAccepts);
    assert_eq!(hostile.connections(), dials, "{behaviour:?}: one attempt is one connection");
    let requests = usize::from(behaviour.reads_the_request());
    assert_eq!(hostile.requests(), requests, "{behaviour:?}: one attempt is one request");
}

/// Goes through the whole zoo before it fails, so that one run names everybody who got through.
async fn check_all(rule: Rule) {
    let world = Arc::new(World::new().await);
    let mut wrong = Vec::new();
    for behaviour in Behaviour::ALL {
        let world = Arc::clone(&world);
        let checked = tokio::spawn(async move { check(&world, behaviour, rule).await });
        if checked.await.is_err() {
            wrong.push(behaviour);
        }
    }
    assert!(wrong.is_empty(), "{rule:?}: {wrong:?}; each is explained above");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hostile_receiver_costs_one_attempt_of_its_class() {
    check_all(Rule::StatusOnly).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hostile_receiver_costs_one_attempt_of_its_class_when_the_body_counts() {
    check_all(Rule::BodyComplete).await;
}

/// The same receiver is asked again: what it sent too much must not pass for the answer to the second request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_an_answer_reaches_no_later_request() {
    let world = World::new().await;
    for behaviour in [Behaviour::GarbageAfterBody, Behaviour::LengthTooShort, Behaviour::LengthWithChunked] {
        let hostile =
            Hostile::start(behaviour, PACE, &world.authority).await.expect("loopback has a free port");
        for n in 0..5 {
            let exchange = world.send(&hostile.url(), Rule::BodyComplete, Bytes::from_static(b"{}")).await;
            let response = exchange.result.expect("it answers, if with too much");
            assert_eq!(
                (response.status, response.body.as_ref()),
                (200, &b"ok"[..]),
                "{behaviour:?}, request {n}"
            );
        }
        assert_eq!(hostile.requests(), 5, "{behaviour:?}: every request went out once");
    }
}

/// What comes back is kept as bytes: not decoded, not unpacked, not cleaned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_are_kept_as_they_came() {
    let world = World::new().await;
    for (behaviour, beginning) in [
        (Behaviour::BodyNul, &b"nul \0 nul"[..]),
        (Behaviour::BodyInvalidUtf8, b"bad \xff\xfe \xc3\x28"),
        (Behaviour::BodyMarkup, b"<script>"),
        (Behaviour::GzipBomb, b"\x1f\x8b\x08"),
    ] {
        let hostile =
            Hostile::start(behaviour, PACE, &world.authority).await.expect("loopback has a free port");
        let exchange = world.send(&hostile.url(), Rule::BodyComplete, Bytes::from_static(b"{}")).await;
        let response = exchange.result.expect("it answers");
        assert!(response.body.starts_with(beginning), "{behaviour:?}: {:?}", response.body);
    }
}

/// `Retry-After` is handed on as it was received: egress does not judge it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retry_after_is_handed_on_unread() {
    let world = World::new().await;
    for (behaviour, value) in [
        (Behaviour::RetryAfterNegative, "-5"),
        (Behaviour::RetryAfterHuge, "99999999999999999999999999"),
        (Behaviour::RetryAfterNan, "NaN"),
        (Behaviour::RetryAfterText, "later, please"),
        (Behaviour::RetryAfterYear9999, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ] {
        let hostile =
            Hostile::start(behaviour, PACE, &world.authority).await.expect("loopback has a free port");
        let exchange = world.send(&hostile.url(), Rule::StatusOnly, Bytes::from_static(b"{}")).await;
        let response = exchange.result.expect("it answers");
        assert_eq!(response.retry_after.as_deref(), Some(value.as_bytes()), "{behaviour:?}");
    }
}
