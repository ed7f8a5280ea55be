//! What an agent answers beside the key service: how many keys it holds, and that it shall stop.
//!
//! Knows the messages of `proto/agent.proto`, on both sides. What is held, and for how long, is the business of the
//! [`Overseer`].

use std::sync::Arc;
use std::time::Duration;

use tonic::{Request, Response, Status as RpcStatus};

use super::proto::agent::agent_client::AgentClient;
use super::proto::agent::agent_server::Agent;
use super::proto::agent::{StatusRequest, StatusResponse, StopRequest, StopResponse};
use super::remote::{Address, Link};
use super::{KeyError, online};

pub(super) use super::proto::agent::agent_server::AgentServer;

/// How an agent is doing. Says nothing of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentStatus {
    /// How many data keys it holds.
    pub keys: u32,
    /// Whether the memory they are in is kept out of swap.
    pub locked: bool,
    /// After how long without use it forgets a key.
    pub idle: Duration,
    /// After how long it forgets a key, used or not.
    pub max_age: Duration,
    /// Its process number.
    pub pid: u32,
}

/// What an agent does when it is asked about itself.
pub trait Overseer: Send + Sync {
    /// How it is doing.
    fn status(&self) -> AgentStatus;

    /// Forgets all keys and ends.
    fn stop(&self);
}

impl AgentServer<Rpc> {
    /// The service that asks `overseer`.
    pub(super) fn answering(overseer: Arc<dyn Overseer>) -> Self {
        Self::new(Rpc(overseer))
    }
}

/// The agent as tonic wants it.
pub(super) struct Rpc(Arc<dyn Overseer>);

#[tonic::async_trait]
impl Agent for Rpc {
    async fn status(
        &self,
        _: Request<StatusRequest>,
    ) -> Result<Response<StatusResponse>, RpcStatus> {
        let status = self.0.status();
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Ok(Response::new(StatusResponse {
            keys: status.keys,
            locked: status.locked,
            idle_ms: millis(status.idle),
            max_age_ms: millis(status.max_age),
            pid: status.pid,
        }))
    }

    async fn stop(&self, _: Request<StopRequest>) -> Result<Response<StopResponse>, RpcStatus> {
        self.0.stop();
        Ok(Response::new(StopResponse {}))
    }
}

/// Asks the agent of `user` at `address` how it is doing, and waits this long for an answer.
///
/// # Errors
///
/// If there is no agent, it is that of another user, or it does not answer as one.
pub fn status(address: &Address, user: u32, patience: Duration) -> Result<AgentStatus, KeyError> {
    let link = Link::new(address.clone(), Some(user), patience);
    let status = online::block_on(async {
        let mut client = AgentClient::new(link.channel().await?);
        link.answer(client.status(link.request(StatusRequest {})))
            .await
    })??;
    Ok(AgentStatus {
        keys: status.keys,
        locked: status.locked,
        idle: Duration::from_millis(status.idle_ms),
        max_age: Duration::from_millis(status.max_age_ms),
        pid: status.pid,
    })
}

/// Tells the agent of `user` at `address` to forget all keys and end, and waits this long for an answer.
///
/// # Errors
///
/// If there is no agent, it is that of another user, or it does not answer as one.
pub fn stop(address: &Address, user: u32, patience: Duration) -> Result<(), KeyError> {
    let link = Link::new(address.clone(), Some(user), patience);
    online::block_on(async {
        let mut client = AgentClient::new(link.channel().await?);
        let answer = client.stop(link.request(StopRequest {}));
        link.answer(answer).await.map(drop)
    })?
}
