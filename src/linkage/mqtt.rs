//! MQTT 5 to a broker of local systems: the JSON of the webhook, published to one topic with QoS 1.
//!
//! The broker's PUBACK is the receipt. One topic, since a broker keeps the order of messages of one
//! topic only. The user property `Idempotency-Key` is `{id}.{revision}`, as the webhook's header;
//! a subscriber may see a message again and goes by it.
//!
//! | PUBACK | means |
//! |---|---|
//! | success | taken |
//! | topic name invalid, payload format invalid | refused for good |
//! | no matching subscribers | nobody took it: tried again, so that it waits for the local system |
//! | not authorized, quota exceeded, any other | tried again |
//!
//! Not here: the broker of the doors (`door`).

mod session;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rumqttc::v5::MqttOptions;
use rumqttc::v5::mqttbytes::v5::{PubAckReason, PublishProperties};
use rumqttc::{TlsConfiguration, Transport};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::dial::{Dial, Line};
use super::envelope::AlertEnvelope;
use super::{DeliveryError, Linkage, Receipt, SetupError, tls};
use crate::domain::id::LinkageId;
use crate::domain::secret::Secret;
use crate::supervise::Supervisor;
use session::{Message, Session};

/// Between PINGREQs; a broker that does not answer is left after twice that.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Messages under way at a time; more than the outbox ever tries.
const IN_FLIGHT_MAX: u16 = 64;
/// Largest packet taken from the broker: it sends us nothing but acknowledgements.
const PACKET_BYTES_MAX: u32 = 16 << 10;

/// A broker and the topic on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttLinkageOptions {
    /// The linkage's id.
    pub id: LinkageId,
    /// The broker: `mqtt://host:1883` or `mqtts://host:8883`. The path is not used.
    pub url: Url,
    /// Where to publish.
    pub topic: String,
    /// Our name at the broker; nobody else may have it.
    pub client_id: String,
    /// User name and password.
    pub login: Option<(String, Secret)>,
    /// PEM file of the authorities that may vouch for the broker; `None`: the system's.
    pub ca_file: Option<PathBuf>,
    /// Longest wait for a session; [`super::CONNECT_TIMEOUT`] unless there is reason.
    pub connect_timeout: Duration,
    /// Longest wait for a PUBACK, the session included; [`super::TOTAL_TIMEOUT`] unless there is reason.
    pub total_timeout: Duration,
}

/// A topic of a broker.
pub struct Mqtt {
    options: MqttLinkageOptions,
    client: MqttOptions,
    supervisor: Supervisor,
    dial: Dial<Arc<Session>>,
}

/// Shows nothing of the client's options: the password is in them.
impl fmt::Debug for Mqtt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mqtt")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Drop for Mqtt {
    fn drop(&mut self) {
        self.supervisor.token().cancel();
    }
}

impl Mqtt {
    /// Sets up the client, whose sessions run under `supervisor`; connects to nobody yet.
    ///
    /// # Errors
    /// [`SetupError`] when the URL or a file is of no use.
    pub fn new(options: MqttLinkageOptions, supervisor: &Supervisor) -> Result<Mqtt, SetupError> {
        Ok(Mqtt {
            client: client_options(&options)?,
            supervisor: supervisor.group(),
            dial: Dial::default(),
            options,
        })
    }

    async fn publish(&self, envelope: &AlertEnvelope) -> Result<Receipt, DeliveryError> {
        let until = Instant::now() + self.options.total_timeout;
        let line = self.line().await?;
        let message = Message {
            topic: self.options.topic.clone(),
            payload: envelope.to_json(),
            properties: properties(envelope),
        };
        let error = match timeout_at(until, line.end.publish(message)).await {
            Ok(Ok(reason)) => return judge(reason),
            Ok(Err(err)) => err,
            Err(_) => DeliveryError::TimedOut(self.options.total_timeout),
        };
        self.dial.hang_up(&line).await;
        if let DeliveryError::Broken(_) = &error {
            // Was it the message or the broker that went? One more dial tells.
            self.line().await?;
        } else {
            // A broker that owes an acknowledgement for so long gets a new session.
            line.end.close();
        }
        Err(error)
    }

    /// A session stands and the broker has answered its last ping, or a new one can be had.
    async fn ask(&self) -> Result<(), DeliveryError> {
        self.line().await.map(drop)
    }

    async fn line(&self) -> Result<Line<Arc<Session>>, DeliveryError> {
        let connect = Session::open(
            self.client.clone(),
            IN_FLIGHT_MAX,
            self.options.connect_timeout,
            &self.supervisor,
        );
        self.dial.line(|session| session.is_open(), connect).await
    }
}

impl Linkage for Mqtt {
    fn id(&self) -> &LinkageId {
        &self.options.id
    }

    fn kind(&self) -> &'static str {
        "mqtt"
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), DeliveryError>> {
        self.ask().boxed()
    }

    fn deliver<'a>(
        &'a self,
        envelope: &'a AlertEnvelope,
    ) -> BoxFuture<'a, Result<Receipt, DeliveryError>> {
        self.publish(envelope).boxed()
    }
}

fn client_options(options: &MqttLinkageOptions) -> Result<MqttOptions, SetupError> {
    let id = &options.id;
    let (is_tls, port) = match options.url.scheme() {
        "mqtt" => (false, 1_883),
        "mqtts" => (true, 8_883),
        _ => {
            return Err(SetupError::Scheme {
                id: id.clone(),
                expected: "mqtt:// or mqtts://",
            });
        }
    };
    // An IPv6 address is in brackets here, as rumqttc wants it.
    let host = options.url.host_str().unwrap_or_default();
    let port = options.url.port().unwrap_or(port);
    let mut client = MqttOptions::new(options.client_id.clone(), host, port);
    client
        .set_keep_alive(KEEP_ALIVE)
        // Nothing is left to the session: what was not acknowledged is the outbox's to send again.
        .set_clean_start(true)
        .set_session_expiry_interval(Some(0))
        .set_connection_timeout(options.connect_timeout.as_secs().max(1))
        .set_max_packet_size(Some(PACKET_BYTES_MAX))
        .set_outgoing_inflight_upper_limit(IN_FLIGHT_MAX);
    // An alert is one small message: without this it waits for the acknowledgement of the one before,
    // which the other side may delay by 40 ms (RFC 896 against RFC 1122, 4.2.3.2).
    let mut network = client.network_options();
    network.set_tcp_nodelay(true);
    client.set_network_options(network);
    if let Some((username, password)) = &options.login {
        client.set_credentials(username, password.reveal());
    }
    if is_tls {
        let config = tls::client_config(id, options.ca_file.as_deref())?;
        let config = TlsConfiguration::Rustls(config);
        client.set_transport(Transport::tls_with_config(config));
    }
    Ok(client)
}

fn properties(envelope: &AlertEnvelope) -> PublishProperties {
    PublishProperties {
        // UTF-8 text (MQTT 5, 3.3.2.3.2).
        payload_format_indicator: Some(1),
        content_type: Some("application/json".to_owned()),
        user_properties: vec![("Idempotency-Key".to_owned(), envelope.idempotency_key())],
        ..PublishProperties::default()
    }
}

fn judge(reason: PubAckReason) -> Result<Receipt, DeliveryError> {
    let busy = |text: &str| {
        Err(DeliveryError::Busy {
            text: text.to_owned(),
            retry_after: None,
        })
    };
    match reason {
        PubAckReason::Success => Ok(Receipt {
            text: "PUBACK".to_owned(),
        }),
        PubAckReason::TopicNameInvalid => {
            Err(DeliveryError::Refused("topic name invalid".to_owned()))
        }
        PubAckReason::PayloadFormatInvalid => {
            Err(DeliveryError::Refused("payload format invalid".to_owned()))
        }
        PubAckReason::NoMatchingSubscribers => busy("nobody subscribes to the topic"),
        PubAckReason::NotAuthorized => busy("we may not publish to the topic"),
        PubAckReason::QuotaExceeded => busy("quota exceeded"),
        PubAckReason::PacketIdentifierInUse => busy("packet identifier in use"),
        PubAckReason::UnspecifiedError => busy("unspecified error"),
        PubAckReason::ImplementationSpecificError => busy("implementation specific error"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;

    #[test]
    fn only_what_is_wrong_with_the_message_is_refused_for_good() {
        assert!(judge(PubAckReason::Success).is_ok());
        for (reason, class) in [
            (PubAckReason::TopicNameInvalid, Class::Permanent),
            (PubAckReason::PayloadFormatInvalid, Class::Permanent),
            (PubAckReason::NoMatchingSubscribers, Class::Transient),
            (PubAckReason::NotAuthorized, Class::Transient),
            (PubAckReason::QuotaExceeded, Class::Transient),
            (PubAckReason::UnspecifiedError, Class::Transient),
        ] {
            assert_eq!(judge(reason).unwrap_err().class(), class, "{reason:?}");
        }
    }

    #[tokio::test]
    async fn a_useless_configuration_is_refused_and_a_password_is_not_shown() {
        let options = |url: &str| MqttLinkageOptions {
            id: LinkageId::new("local").unwrap(),
            url: url.parse().unwrap(),
            topic: "alerts".to_owned(),
            client_id: "stairgate".to_owned(),
            login: Some(("gateway".to_owned(), Secret::new("open-sesame"))),
            ca_file: None,
            connect_timeout: Duration::from_secs(1),
            total_timeout: Duration::from_secs(1),
        };
        let supervisor = Supervisor::new();
        let err = Mqtt::new(options("https://x/"), &supervisor).unwrap_err();
        assert!(err.to_string().contains("local"), "{err}");
        let good = Mqtt::new(options("mqtt://[::1]"), &supervisor).unwrap();
        assert!(!format!("{good:?}").contains("open-sesame"));
    }
}
