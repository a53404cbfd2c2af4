import './language.ts'
import { connect } from '#backend'
import '@fontsource-variable/inter'
import '@mantine/core/styles.css'
import '@mantine/notifications/styles.css'
import 'react-datasheet-grid/dist/style.css'
import 'uplot/dist/uPlot.min.css'
import './styles.css'
import { createRoot } from 'react-dom/client'
import { createHashRouter } from 'react-router'
import { App } from './App.tsx'
import { routes } from './routes.tsx'

const root = document.getElementById('root')
if (!root) throw new Error('index.html has no #root')
createRoot(root).render(<App backend={connect()} router={createHashRouter(routes)} />)
