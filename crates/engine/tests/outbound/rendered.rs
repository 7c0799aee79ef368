//! A delivery's request as a command for a shell: what curl sends is what Postrider would send.

use std::process::Stdio;

use postrider_domain::id::DeliveryId;
use postrider_domain::problem::Code;
use postrider_domain::random::Random;
use postrider_domain::verify::{Capture, Finding, verify};
use postrider_engine::EngineError;
use postrider_engine::control::Actor;
use postrider_engine::outbound::preview::{MASK, Reveal};
use postrider_engine::outbound::rendered::{as_curl, rendered};
use postrider_testkit::random::SeededRandom;
use postrider_testkit::receiver::Receiver;

use crate::house::House;
use crate::inbox::{SECRET, webhook};

#[tokio::test]
async fn curl_sends_what_postrider_would_send_with_a_signature_that_holds_now() {
    let house = House::open().await;
    let receiver = Receiver::start().await;
    let tenant = house.tenant("standard").await;
    webhook(&house, &tenant, &receiver.url("/in?a=[1-3]&b={x,y}")).await;
    for data in ["{\"it's\": \"$(id) `id` \\\"q\\\" \\\\\"}", "{\"ä\": \"ü\"}"] {
        house.try_publish(&tenant, "order.created", None, data).await.expect("accepted");
    }
    let deliveries = house.all_ended(&tenant).await;
    let sent = receiver.wait_for(2).await;
    house.clock.advance(std::time::Duration::from_secs(3600));
    let tenant = house.now(&tenant);
    for (n, delivery) in deliveries.iter().enumerate() {
        let shown = rendered(&house.engine, &tenant, delivery.id, Reveal::No).await.expect("a request");
        assert!(shown.headers.contains(&("x-of-mine".to_owned(), MASK.to_owned())), "{:?}", shown.headers);
        assert!(!as_curl(&shown).contains("hush"));
        let shown = rendered(&house.engine, &tenant, delivery.id, Reveal::Yes).await.expect("a request");
        let command = as_curl(&shown);
        let done = tokio::process::Command::new("sh")
            .args(["-c", &command])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await
            .expect("a shell");
        assert!(done.success(), "{command}");
        let received = receiver.wait_for(3 + n).await.remove(2 + n);
        assert!(sent.iter().any(|sent| sent.body == received.body), "{command}");
        assert_eq!((received.method.as_str(), received.path.as_str()), ("POST", "/in?a=[1-3]&b={x,y}"));
        assert_eq!(received.header("x-of-mine"), Some("hush"));
        let capture =
            Capture { headers: &shown.headers, body: &received.body, received: Some(house.now_by_clock()) };
        assert_eq!(verify(tenant.profile(), capture, SECRET), Finding::Holds, "{command}");
        for (name, value) in &shown.headers {
            assert_eq!(received.header(name), Some(value.as_str()), "{name}");
        }
    }
    // Nothing of it is a delivery.
    assert_eq!(house.deliveries(&tenant).await.len(), 2);
}

#[tokio::test]
async fn what_is_gone_cannot_be_shown() {
    let house = House::open().await;
    let receiver = Receiver::start().await;
    let tenant = house.tenant("standard").await;
    let webhook = webhook(&house, &tenant, &receiver.url("/")).await;
    house.publish(&tenant, "order.created").await;
    let delivery = house.all_ended(&tenant).await.remove(0);
    let code =
        async |delivery: DeliveryId| match rendered(&house.engine, &house.now(&tenant), delivery, Reveal::No)
            .await
        {
            Err(EngineError::Refused(problem)) => problem.code,
            other => panic!("it was not refused: {other:?}"),
        };
    let mut unknown = [0; 16];
    SeededRandom::fresh().fill(&mut unknown);
    assert_eq!(code(DeliveryId::from_bytes(unknown)).await, Code::NotFound);
    let control = house.engine.control();
    control.webhook_delete(&Actor::postrider(), &house.now(&tenant), webhook.id).await.expect("deleted");
    assert_eq!(code(delivery.id).await, Code::Conflict);
}
