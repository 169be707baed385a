// A file of its own, because the page's policy forbids inline scripts.
const mount = document.getElementById("swagger-ui");
SwaggerUIBundle({
  domNode: mount,
  // Absolute, since Swagger UI resolves the document's relative server against it.
  url: new URL(mount.dataset.document, location.href).href,
  deepLinking: true,
  displayRequestDuration: true,
  // The default sends the document to an outside validator.
  validatorUrl: null,
});
