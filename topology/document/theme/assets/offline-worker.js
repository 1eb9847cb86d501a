/* Search on pages opened from disk: browsers refuse workers there, so the worker's script runs in a hidden frame. */
(function () {
  "use strict";
  if (location.protocol !== "file:") { return; }

  /* Inside the frame: what the worker's script expects of its surroundings. */
  function frame(url) {
    return "<!doctype html><script>" +
      "window.importScripts=function(){var a=[].slice.call(arguments);return a.reduce(function(p,u){" +
      "return p.then(function(){return new Promise(function(y,n){var s=document.createElement('script');" +
      "s.src=u;s.onload=y;s.onerror=n;document.body.appendChild(s)})})},Promise.resolve())};" +
      "window.postMessage=function(d){parent.postMessage({offlineWorker:true,data:d},'*')};" +
      "<\/script><body><script src=\"" + url + "\"><\/script></body>";
  }

  function FrameWorker(url) {
    var target = document.createElement("span"), self = this, waiting = [];
    var inner = document.createElement("iframe");
    inner.hidden = true;
    inner.title = "search";
    inner.onload = function () {
      self.inside = inner.contentWindow;
      waiting.splice(0).forEach(function (data) { self.postMessage(data); });
    };
    inner.srcdoc = frame(String(url));
    document.body.appendChild(inner);
    this.addEventListener = target.addEventListener.bind(target);
    this.removeEventListener = target.removeEventListener.bind(target);
    this.dispatchEvent = target.dispatchEvent.bind(target);
    this.postMessage = function (data) {
      if (!self.inside) { waiting.push(data); return; }
      self.inside.dispatchEvent(new MessageEvent("message", { data: data }));
    };
    this.terminate = function () { inner.remove(); };
    window.addEventListener("message", function (event) {
      if (event.source === inner.contentWindow && event.data && event.data.offlineWorker) {
        target.dispatchEvent(new MessageEvent("message", { data: event.data.data }));
      }
    });
  }

  window.IFrameWorker = FrameWorker;
  window.Worker = FrameWorker;
})();
