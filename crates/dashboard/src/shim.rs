//! Stands for the engine's sessions until they are merged. NOT COMMITTED.
use postrider_domain::id::{KeyId,TenantId};
use postrider_domain::time::Timestamp;
use postrider_domain::problem::Problem;
use postrider_engine::catalogue::{ApiKey,Tenant};
use postrider_engine::control::{Actor,Control,Role};
use postrider_engine::EngineError;
use secrecy::SecretString;
#[derive(Debug,Clone,Default)] pub(crate) struct Look{pub name:Option<String>,pub logo:Option<String>,pub accent:Option<String>,pub language:Option<String>,pub origins:Vec<String>}
#[derive(Debug,Clone)] pub(crate) struct Session{pub role:Role,pub tenant:Option<TenantId>,pub look:Look,pub created:Timestamp,pub expires:Timestamp,pub key:Option<KeyId>}
impl Session{pub(crate) fn actor(&self)->Actor{Actor{role:self.role,key:self.key,tenant:self.tenant}}}
pub(crate) enum WebhookAccess{Read,Write}
pub(crate) fn may_see_webhooks(_r:Role,_t:&Tenant)->bool{true}
pub(crate) fn check_webhooks(_r:Role,_b:bool,_a:WebhookAccess,_t:&Tenant)->Result<(),Problem>{Ok(())}
pub(crate) trait Shim{
 async fn session_find(&self,t:&str)->Result<Option<Session>,EngineError>;
 async fn session_sign_in(&self,k:&ApiKey)->Result<(SecretString,Session),EngineError>;
 async fn session_from_link(&self,t:&str)->Result<Option<(SecretString,Session)>,EngineError>;
 async fn session_end(&self,s:&Session)->Result<(),EngineError>;
}
static ALL:std::sync::Mutex<Vec<(String,Session)>>=std::sync::Mutex::new(Vec::new());
impl Shim for Control{
 async fn session_find(&self,t:&str)->Result<Option<Session>,EngineError>{Ok(ALL.lock().unwrap().iter().find(|(k,_)|k==t).map(|(_,s)|s.clone()))}
 async fn session_sign_in(&self,k:&ApiKey)->Result<(SecretString,Session),EngineError>{
  let s=Session{role:k.role,tenant:k.tenant,look:Look::default(),created:Timestamp::from_unix_ms(0),expires:Timestamp::from_unix_ms(43_200_000),key:Some(k.id)};
  let t=format!("prs_{}",k.id); ALL.lock().unwrap().push((t.clone(),s.clone())); Ok((t.into(),s))}
 async fn session_from_link(&self,_t:&str)->Result<Option<(SecretString,Session)>,EngineError>{Ok(None)}
 async fn session_end(&self,_s:&Session)->Result<(),EngineError>{Ok(())}
}
