import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { I18nProvider } from "react-aria-components/I18nProvider";
import { useTranslation } from "react-i18next";
import { newQueryClient } from "@/api/client";
import { region, startTexts } from "@/i18n";
import { forgetTold, Toasts } from "@/components/Toasts";
import { newRouter } from "@/router";
import { applyTheme } from "@/theme";
import "@/styles/index.css";

const queries = newQueryClient(() => {
  if (router.state.location.pathname !== "/welcome") {
    forgetTold();
    void router.navigate({ to: "/welcome", search: { to: router.state.location.href } });
  }
});
const router = newRouter(queries);

function Console() {
  const { i18n } = useTranslation();
  return (
    <I18nProvider locale={region(i18n.language)}>
      <QueryClientProvider client={queries}>
        <RouterProvider router={router} />
        <Toasts />
      </QueryClientProvider>
    </I18nProvider>
  );
}

applyTheme();
await startTexts();
createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <Console />
  </StrictMode>,
);
