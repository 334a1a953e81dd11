//! The phases before the session: each frame goes through the relay, and what comes of it is written at once.

use sudare_relay::connect::negotiate::Agreed;
use sudare_relay::error::{Fault, Side, Stage};
use sudare_relay::{Connection, Live, Out};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::Ended;
use crate::leg::Leg;

/// Both sides until the session begins. Frames that were read behind its beginning stay in their legs.
pub(crate) async fn connect<C, H>(
    client: &mut Leg<C>,
    host: &mut Leg<H>,
    agreed: Agreed,
    now_ms: impl Fn() -> u64,
) -> Result<Box<Live>, Ended>
where
    C: AsyncRead + AsyncWrite + Unpin,
    H: AsyncRead + AsyncWrite + Unpin,
{
    let mut connection = Connection::new(agreed);
    loop {
        let (side, read) = tokio::select! {
            read = client.input.read() => (Side::Client, read.map_err(Ended::Client)?),
            read = host.input.read() => (Side::Host, read.map_err(Ended::Host)?),
        };
        let broken = |fault: Fault, at: &Connection| Ended::Broken(fault.of(side, stage(at)));
        if !read.map_err(|fault| broken(fault, &connection))? {
            return Err(if side == Side::Client { Ended::ClientLeft } else { Ended::HostLeft });
        }
        loop {
            let frame = if side == Side::Client { client.input.frame() } else { host.input.frame() };
            let Some(frame) = frame.map_err(|fault| broken(fault, &connection))? else { break };
            let mut out = Out::default();
            connection = match side {
                Side::Client => connection.client(now_ms(), frame, &mut out)?,
                Side::Host => connection.host(now_ms(), frame, &mut out)?,
            };
            client.output.write_all(&out.to_client).await.map_err(Ended::Client)?;
            host.output.write_all(&out.to_host).await.map_err(Ended::Host)?;
            if let Connection::Live(live) = connection {
                return Ok(live);
            }
        }
    }
}

fn stage(connection: &Connection) -> Stage {
    match connection {
        Connection::Initial(_) | Connection::Response(_) => Stage::Settings,
        Connection::Join(_) => Stage::Joining,
        Connection::Licence(_) => Stage::Licensing,
        Connection::Live(_) => Stage::Session,
    }
}
